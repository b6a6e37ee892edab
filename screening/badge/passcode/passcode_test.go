package passcode

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	rootKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	issuingKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	strangeKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	morning    = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func sampleCode() Code {
	return Code{
		Person:  Pseudonym([]byte("the number key of a plant, 32 or more"), "A-1047"),
		Company: "haitian-build", Serial: Serial{0, 0, 0, 0, 0, 0, 0x10, 0x47},
		From: morning.Add(-time.Hour), To: morning.AddDate(0, 0, 14),
	}
}

func samplePasses() Passes {
	return Passes{
		Version: 7, Site: "plant", Issued: morning,
		Keys:    []Key{{Key: public(issuingKey), From: morning.AddDate(0, -1, 0), To: morning.AddDate(0, 1, 0)}},
		Revoked: []Serial{{9}, {1}, {0, 0, 0, 0, 0, 0, 0x66, 0x66}}, Barred: []string{"barred"},
	}
}

func sign(t testing.TB, key ed25519.PrivateKey, site string, code Code) string {
	t.Helper()
	text, err := Sign(key, site, code)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerify(t *testing.T) {
	good := sampleCode()
	late, early, revoked, barred := good, good, good, good
	barred.Company = "barred"
	late.To = morning
	early.From = morning.Add(time.Second)
	revoked.Serial = Serial{9}
	text := sign(t, issuingKey, "plant", good)
	swapped := []byte(text)
	swapped[30] = 'A' + (swapped[30]-'A'+1)%26 // in the pseudonym

	for name, test := range map[string]struct {
		text string
		at   time.Time
		want error
	}{
		"good":                 {text, morning, nil},
		"by the first key":     {sign(t, rootKey, "plant", good), morning, nil},
		"typed with caps lock": {" " + strings.ToLower(text) + "\n", morning, nil},
		"cut at the end":       {text[:len(text)-1], morning, Cut},
		"cut at the start":     {text[1:], morning, Cut},
		"longer":               {text + "A", morning, Cut},
		"twice":                {text + text, morning, Cut},
		"nothing":              {"", morning, Cut},
		"a number":             {"0012345678", morning, Cut},
		"changed":              {string(swapped), morning, Forged},
		"of another site":      {sign(t, issuingKey, "other", good), morning, OtherSite},
		"by another key":       {sign(t, strangeKey, "plant", good), morning, OtherSite},
		"of a barred company":  {sign(t, issuingKey, "plant", barred), morning, Revoked},
		"of the future":        {sign(t, issuingKey, "plant", early), morning, NotYetValid},
		"at its end":           {sign(t, issuingKey, "plant", late), morning, Expired},
		"revoked":              {sign(t, issuingKey, "plant", revoked), morning, Revoked},
		"before its key":       {text, morning.AddDate(0, -2, 0), NotYetValid},
		"key's time is over":   {text, morning.AddDate(0, 1, 0), Expired},
	} {
		got, err := Verify(public(rootKey), "plant", mustOpen(t, samplePasses()), test.text, test.at)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil && got != good {
			t.Errorf("%s: says %+v, want %+v", name, got, good)
		}
	}
}

func mustOpen(t testing.TB, passes Passes) Passes {
	t.Helper()
	payload, err := passes.Sign(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenPasses(public(rootKey), "plant", payload)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestOneQR has the longest code fit into version 6, whose alphanumeric mode takes 195 characters at error correction L.
func TestOneQR(t *testing.T) {
	code := sampleCode()
	code.Company = strings.Repeat("W", MaxCompany)
	text := sign(t, issuingKey, "厂区", code)
	if len(text) > 195 || !regexp.MustCompile(`^[0-9A-Z]+$`).MatchString(text) {
		t.Errorf("%d characters: %s", len(text), text)
	}
}

func TestSignRefusesWhatDoesNotFit(t *testing.T) {
	for name, change := range map[string]func(*Code){
		"person":       func(c *Code) { c.Person = "A-1047" },
		"long company": func(c *Code) { c.Company = strings.Repeat("w", MaxCompany+1) },
		"company":      func(c *Code) { c.Company = "海天" },
		"a space":      func(c *Code) { c.Company = "hai tian" },
		"not ASCII":    func(c *Code) { c.Company = "\u212Aelvin" }, // whose small letter is an ordinary k
		"order":        func(c *Code) { c.To = c.From },
		"1969":         func(c *Code) { c.From = time.Unix(-1, 0) },
		"2107":         func(c *Code) { c.To = time.Date(2107, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		code := sampleCode()
		change(&code)
		if text, err := Sign(issuingKey, "plant", code); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestPassesOfOthersAreRefused(t *testing.T) {
	good, err := samplePasses().Sign(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := samplePasses().Sign(issuingKey)
	for name, test := range map[string]struct {
		payload []byte
		site    string
	}{
		"another signer": {foreign, "plant"},
		"another site":   {good, "other"},
		"changed":        {bytes.Replace(good, []byte(`"version":7`), []byte(`"version":9`), 1), "plant"},
		"more behind":    {append(bytes.Clone(good), ' '), "plant"},
		"cut":            {good[:len(good)-1], "plant"},
		"empty":          {nil, "plant"},
	} {
		if _, err := OpenPasses(public(rootKey), test.site, test.payload); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSiteKey(t *testing.T) {
	text, err := MarshalSiteKey(public(rootKey))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := ParseSiteKey(text); err != nil || !key.Equal(public(rootKey)) {
		t.Errorf("%v, %v", key, err)
	}
	for _, bad := range []string{"", "MCowBQYDK2VwAyEA", strings.Replace(text, "MCow", "MCox", 1)} {
		if _, err := ParseSiteKey(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestPseudonym(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	want := Pseudonym(key, "a1047")
	if len(want) != 32 || Pseudonym(key, " A1047\n") != want {
		t.Errorf("%q", want)
	}
	if Pseudonym(key, "a1048") == want || Pseudonym([]byte("another key"), "a1047") == want {
		t.Error("the same for another number, or under another key")
	}
}

// FuzzVerify has nothing but what was signed be valid.
func FuzzVerify(f *testing.F) {
	passes := mustOpen(f, samplePasses())
	good := sign(f, issuingKey, "plant", sampleCode())
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(good + "AAAAAAAA")
	f.Add(sign(f, rootKey, "other", sampleCode()))
	f.Add("TGPC")
	f.Add("tgpcſſſſſſſſ")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := Verify(public(rootKey), "plant", passes, text, morning)
		var refusal Refusal
		switch {
		case err == nil && (code != sampleCode() || !strings.EqualFold(strings.TrimSpace(text), good)):
			t.Errorf("%q is valid as %+v", text, code)
		case err != nil && !errors.As(err, &refusal):
			t.Errorf("%q: %v gives no reason", text, err)
		}
	})
}

// FuzzOpenPasses has nothing but what was signed be read.
func FuzzOpenPasses(f *testing.F) {
	good, err := samplePasses().Sign(rootKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-20])
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := OpenPasses(public(rootKey), "plant", payload); err == nil && !bytes.Equal(payload, good) {
			t.Errorf("taken: %s", payload)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	passes := samplePasses()
	for range 20_000 {
		passes.Revoked = append(passes.Revoked, NewSerial())
	}
	passes = mustOpen(b, passes)
	text := sign(b, issuingKey, "plant", sampleCode())
	for b.Loop() {
		if _, err := Verify(public(rootKey), "plant", passes, text, morning); err != nil {
			b.Fatal(err)
		}
	}
}
