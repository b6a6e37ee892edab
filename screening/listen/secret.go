package listen

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret is the length in bytes of the longest password that is looked at.
const maxSecret = 4096

// ReadSecret reads a file that holds one secret in one line; the end of the line is not part of it.
func ReadSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+3)) // the line's end, and a byte too many
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" || len(secret) > maxSecret || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s does not hold one line with a password of at most %d bytes", path, maxSecret)
	}
	return secret, nil
}
