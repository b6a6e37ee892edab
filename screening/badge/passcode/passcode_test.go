package passcode

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math"
	"regexp"
	"slices"
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
		Person:  NumberKeys{[]byte("the number key of a plant, 32 or more")}.Pseudonym("A-1047"),
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
		got, err := Verify("plant", mustOpen(t, samplePasses()), test.text, test.at)
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
		"changes":      func(c *Code) { c.Changes = MaxNumberKeys },
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

// TestPseudonym has a site change its number key twice. What is expected was computed with openssl from the doc comments.
func TestPseudonym(t *testing.T) {
	keys, err := ParseNumberKeys("0123456789abcdef0123456789abcdef  fedcba9876543210fedcba9876543210 00112233445566778899aabbccddeeff\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"de77906d7919f7b4a220495581cc4f4d", "76aac31f0fbe5cf5965204a70939601a", "866b769d3db2cb658bb24c2fb4964b6e"}
	if got := keys.Of(keys.First(" a1047\n")); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := keys.After(HashOf(want[0])); !slices.Equal(got, want[1:]) {
		t.Errorf("by the hash alone %q, want %q", got, want[1:])
	}
	for n := range keys {
		gate := keys[:n+1]
		if got := gate.Pseudonym("A1047"); got != want[n] {
			t.Errorf("with %d keys %q, want %q", n+1, got, want[n])
		}
		for changes, person := range want { // as codes have it that were printed before and after
			if got := (Code{Person: person, Changes: changes}).NewestPerson(gate); got != want[max(n, changes)] {
				t.Errorf("a gate with %d keys calls %q of %d changes %q, want %q", n+1, person, changes, got, want[max(n, changes)])
			}
		}
	}
	if got := (Code{Person: want[0]}).NewestPerson(nil); got != want[0] {
		t.Errorf("a gate without keys says %q", got)
	}
	if keys.Pseudonym("a1048") == want[2] || (NumberKeys{keys[1], keys[2]}).Pseudonym("a1047") == want[2] || (NumberKeys{keys[0], keys[2]}).Pseudonym("a1047") == want[2] {
		t.Error("the same for another number, or without one of the keys")
	}
}

func TestNumberKeysThatAreNone(t *testing.T) {
	key := strings.Repeat("k", MinNumberKey)
	for _, bad := range []string{"", " \n", key[1:], key + " " + key[1:], strings.Repeat(key+" ", MaxNumberKeys+1)} {
		if keys, err := ParseNumberKeys(bad); err == nil {
			t.Errorf("%.80q are %d keys", bad, len(keys))
		}
	}
}

// succeed is passes of a site whose key was changed so often, signed by the last.
func succeed(t testing.TB, site string, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	passes := samplePasses()
	passes.Site = site
	for i := range keys[1:] {
		passes.Roots = append(passes.Roots, HandOver(keys[i], site, public(keys[i+1])))
	}
	payload, err := passes.Sign(keys[len(keys)-1])
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestSiteKeyThatIsChanged has a gate follow the site's key, and nobody else's.
func TestSiteKeyThatIsChanged(t *testing.T) {
	first, second, third, thief := rootKey, issuingKey, strangeKey, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, ed25519.SeedSize))
	signedBy := func(key ed25519.PrivateKey, roots ...Handover) []byte {
		passes := samplePasses()
		passes.Version, passes.Roots = math.MaxUint64, roots
		payload, err := passes.Sign(key)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	toSecond, toThief := HandOver(first, "plant", public(second)), HandOver(first, "plant", public(thief))
	forged := toSecond
	forged.To = public(thief)
	cut, short := toSecond, toSecond
	cut.Signature, short.To = cut.Signature[:40], short.To[:31]
	good := succeed(t, "plant", first, second, third)
	for name, test := range map[string]struct {
		has     ed25519.PrivateKey // the gate
		payload []byte
		want    ed25519.PrivateKey // that it has then; nil where it takes nothing
	}{
		"one change":                         {first, succeed(t, "plant", first, second), second},
		"off during two":                     {first, good, third},
		"off during the second":              {second, good, third},
		"given the last by hand":             {third, good, third},
		"no way from its own":                {thief, good, nil},
		"the key before signs on":            {second, signedBy(first), nil},
		"and shows what it signed":           {second, signedBy(first, toSecond), nil},
		"and names a thief":                  {second, signedBy(thief, toThief), nil},
		"and names a thief besides":          {second, signedBy(thief, toSecond, toThief), nil},
		"and names a thief before":           {second, signedBy(thief, toThief, toSecond), nil},
		"and names itself once more":         {second, signedBy(first, toSecond, HandOver(first, "plant", public(first))), nil},
		"a thief in the way":                 {first, signedBy(thief, forged), nil},
		"signed by a stranger":               {first, signedBy(thief, HandOver(thief, "plant", public(second))), nil},
		"a signature that is cut":            {first, signedBy(second, cut), nil},
		"a key that is cut":                  {first, signedBy(second, short), nil},
		"changed for another site":           {first, signedBy(second, HandOver(first, "other", public(second))), nil},
		"of another site":                    {first, succeed(t, "other", first, second), nil},
		"signed by one between":              {first, signedBy(second, toSecond, HandOver(second, "plant", public(third))), nil},
		"signed by the first all the same":   {first, signedBy(first, toSecond), nil},
		"in the wrong order":                 {first, signedBy(third, HandOver(second, "plant", public(third)), toSecond), nil},
		"without the key between":            {first, signedBy(third, HandOver(second, "plant", public(third))), nil},
		"the way is changed":                 {first, bytes.Replace(good, []byte(`"roots"`), []byte(`"Roots"`), 1), nil},
		"the way is cut off":                 {first, slices.Concat(good[:bytes.Index(good, []byte(`,"roots"`))], good[bytes.LastIndex(good, []byte(beforeSignature)):]), nil},
		"what the gate knows, once more":     {first, signedBy(first), first},
		"a thief who is faster, alas":        {first, signedBy(thief, toThief), thief},
		"the site, after a thief was faster": {thief, succeed(t, "plant", first, second), nil},
	} {
		passes, err := OpenPasses(public(test.has), "plant", test.payload)
		if (err == nil) != (test.want != nil) || err == nil && !passes.SiteKey.Equal(public(test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCodesOutliveTheSiteKey has codes be good that were printed before it was changed, but for those that it has signed itself.
func TestCodesOutliveTheSiteKey(t *testing.T) {
	passes, err := OpenPasses(public(rootKey), "plant", succeed(t, "plant", rootKey, strangeKey))
	if err != nil {
		t.Fatal(err)
	}
	for signer, want := range map[*ed25519.PrivateKey]error{&issuingKey: nil, &strangeKey: nil, &rootKey: OtherSite} {
		if _, err := Verify("plant", passes, sign(t, *signer, "plant", sampleCode()), morning); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if _, err := Verify("plant", Passes{}, sign(t, issuingKey, "plant", sampleCode()), morning); err != OtherSite {
		t.Errorf("without any key: %v", err)
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
		code, err := Verify("plant", passes, text, morning)
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
	changed := succeed(f, "plant", rootKey, issuingKey, strangeKey)
	f.Add(good)
	f.Add(good[:len(good)-20])
	f.Add(changed)
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := OpenPasses(public(rootKey), "plant", payload); err == nil && !bytes.Equal(payload, good) && !bytes.Equal(payload, changed) {
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
		if _, err := Verify("plant", passes, text, morning); err != nil {
			b.Fatal(err)
		}
	}
}
