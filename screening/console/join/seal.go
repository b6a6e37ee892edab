package join

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// lock is the cipher whose key follows from a token, which the console does not keep.
func lock(token string) cipher.AEAD {
	key := sha256.Sum256([]byte("account " + token)) // the token is random, so a plain hash will do
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has a right length
	}
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // and so has the block
	}
	return sealed
}

// seal makes of an account what only who has the token can read; empty for none.
func seal(token string, account Account) string {
	if account == (Account{}) {
		return ""
	}
	text, err := json.Marshal(account)
	if err != nil {
		panic(err) // two strings
	}
	return base64.StdEncoding.EncodeToString(lock(token).Seal(nil, nil, text, nil))
}

func unseal(token, sealed string) (account Account, err error) {
	if sealed == "" {
		return account, nil
	}
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil {
		text, err = lock(token).Open(nil, nil, text, nil)
	}
	if err == nil {
		err = json.Unmarshal(text, &account)
	}
	if err != nil {
		return Account{}, errors.New("the account that was typed in for this link can't be read any more; ask for another link")
	}
	return account, nil
}
