package badge

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/event"
)

const secretNumberKey = "0123456789abcdef0123456789abcdef"

var numberKeys = passcode.NumberKeys{[]byte(secretNumberKey)}

var (
	siteKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	codesKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
)

// keys writes the files of a site's keys.
func keys(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	public, err := passcode.MarshalSiteKey(siteKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.SiteKeyFile, c.NumberKeyFile = filepath.Join(dir, "site.pub"), filepath.Join(dir, "number.key")
	for path, text := range map[string]string{c.SiteKeyFile: public, c.NumberKeyFile: secretNumberKey + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func open(t *testing.T, c Config, path string) *Desk {
	t.Helper()
	d, err := Open(c, "plant", path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// code is signed by the site's key itself.
func code(t *testing.T, serial passcode.Serial) string { return codeBy(t, siteKey, serial) }

func codeBy(t *testing.T, key ed25519.PrivateKey, serial passcode.Serial) string {
	t.Helper()
	text, err := passcode.Sign(key, "plant", passcode.Code{Person: numberKeys.Pseudonym("1047"), Company: "haitian",
		Serial: serial, From: start.Add(-time.Hour), To: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func passes(t *testing.T, version uint64, revoked ...passcode.Serial) []byte {
	t.Helper()
	payload, err := passcode.Passes{Version: version, Site: "plant", Issued: start, Revoked: revoked}.Sign(siteKey)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestPassesWhenTheDiskComesBack has a disk that takes nothing when a code is revoked: the broker's next word mends that.
func TestPassesWhenTheDiskComesBack(t *testing.T) {
	c := keys(t)
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "passes.json")
	d := open(t, c, path)
	list := passes(t, 2, passcode.Serial{9})
	if err := d.SetPasses(list); err == nil {
		t.Fatal("nobody is told that the disk took nothing")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPasses(list); err != nil {
		t.Fatal(err)
	}
	d = open(t, c, path)
	if result, _ := d.Take(Read{At: start, Kind: Input, Text: code(t, passcode.Serial{9})}); result != Result(passcode.Revoked) {
		t.Errorf("after a restart a revoked code is %s", result)
	}
}

func TestVerdictsAreNamed(t *testing.T) {
	d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
	scene := &event.Scene{Captured: start, Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: 1, Face: event.Box{W: 40}}}}
	d.See(scene, nil)
	text := code(t, passcode.Serial{1})
	if result, later := d.Take(Read{At: start, Kind: Input, Text: text}); result != Taken || len(later) > 0 {
		t.Fatalf("%s, %v", result, later)
	}
	verdicts := []event.Event{{ID: "01", Time: start, Data: event.Data{Outcome: event.Pass, Visit: 1, FirstSeen: start}}}
	d.See(scene, verdicts)
	want := event.Bearer{ID: numberKeys.Pseudonym("1047"), Company: "haitian", By: "input", Signed: true}
	if got := verdicts[0].Data.Person; got == nil || *got != want {
		t.Errorf("it is about %+v, want %+v", got, want)
	}
}

func TestLaterNamesAreEventsOfTheirOwn(t *testing.T) {
	d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
	scene := &event.Scene{Captured: start, Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: 1, Face: event.Box{W: 40}}}}
	skin := 35.5
	d.See(scene, []event.Event{{SpecVersion: "1.0", ID: "01", Source: "/plant/north", Time: start, DataContentType: "application/json",
		Data: event.Data{Outcome: event.Pass, Visit: 1, FirstSeen: start, SkinCelsius: &skin, Camera: "a", Version: "1"}}})
	at := start.Add(200 * time.Millisecond)
	result, later := d.Take(Read{At: at, Kind: MQTT, Reader: "turnstile", Text: " 1047 "})
	if result != Taken || len(later) != 1 {
		t.Fatalf("%s, %+v", result, later)
	}
	e := later[0]
	if e.Type != "thermogate.screening.person.v1" || e.Data.Outcome != event.Named || e.Data.PersonOf != "01" || e.Source != "/plant/north" ||
		!e.Time.Equal(at) || e.ID == "" || e.Data.SkinCelsius != nil {
		t.Errorf("%+v", e)
	}
	want := event.Bearer{ID: numberKeys.Pseudonym("1047"), By: "mqtt/turnstile"}
	if got := e.Data.Person; got == nil || *got != want {
		t.Errorf("it is about %+v, want %+v", got, want)
	}
}

func TestWhatIsReadIsChecked(t *testing.T) {
	c := keys(t)
	both := open(t, c, filepath.Join(t.TempDir(), "passes.json"))
	noNumbers, noCodes := c, c
	noNumbers.NumberKeyFile, noCodes.SiteKeyFile = "", ""
	onlyCodes, onlyNumbers := open(t, noNumbers, filepath.Join(t.TempDir(), "p")), open(t, noCodes, filepath.Join(t.TempDir(), "p"))
	if err := both.SetPasses(passes(t, 1, passcode.Serial{9})); err != nil {
		t.Fatal(err)
	}
	good := code(t, passcode.Serial{1})
	for name, test := range map[string]struct {
		desk *Desk
		text string
		want Result
	}{
		"code":                      {both, good, Taken},
		"number":                    {both, "0012345678", Taken},
		"revoked":                   {both, code(t, passcode.Serial{9}), Result(passcode.Revoked)},
		"cut":                       {both, good[:50], Result(passcode.Cut)},
		"nothing":                   {both, " ", Garbled},
		"something else":            {both, "https://example.com/?a=b&c=" + strings.Repeat("d", 50), Garbled},
		"a number without its key":  {onlyCodes, "0012345678", NoKey},
		"a code without the site's": {onlyNumbers, good, NoKey},
	} {
		if got, _ := test.desk.Take(Read{At: start, Kind: Input, Text: test.text}); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestLastWordIsLast has the clock set back between two words about one verdict.
func TestLastWordIsLast(t *testing.T) {
	d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
	words := []Word{{Of: event.Event{ID: event.NewIDs(rand.Reader).At(start), Time: start}}}
	last := words[0].Of.ID
	for _, at := range []time.Time{start.Add(-time.Second), start.Add(time.Second), start.Add(-time.Minute), start} {
		told := d.tell(words, at)[0]
		if told.ID <= last {
			t.Errorf("what is said at %v has the id %s, which is before %s", at, told.ID, last)
		}
		if last = told.ID; !told.Time.Equal(at) {
			t.Errorf("it is of %v, want %v", told.Time, at)
		}
	}
}

// TestRevokedStaysRevoked restarts a gate that can't reach the console, and shows it what it knew before.
func TestRevokedStaysRevoked(t *testing.T) {
	c, path := keys(t), filepath.Join(t.TempDir(), "passes.json")
	d := open(t, c, path)
	old := passes(t, 1)
	if err := d.SetPasses(old); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPasses(passes(t, 2, passcode.Serial{9})); err != nil {
		t.Fatal(err)
	}
	revoked := Read{At: start, Kind: Input, Text: code(t, passcode.Serial{9})}
	refused := func(d *Desk, want Result) {
		t.Helper()
		if got, _ := d.Take(revoked); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	refused(d, Result(passcode.Revoked))
	d = open(t, c, path)
	refused(d, Result(passcode.Revoked))
	if err := d.SetPasses(old); err == nil {
		t.Error("an older list is taken")
	}
	if err := d.SetPasses(passes(t, 2)); err == nil {
		t.Error("another list of the same version is taken")
	}
	if err := d.SetPasses(passes(t, 2, passcode.Serial{9})); err != nil {
		t.Errorf("the list that it has, after a reconnect: %v", err)
	}
	refused(d, Result(passcode.Revoked))
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, c, path)
	refused(d, NoKey) // for nobody knows what is revoked
	if err := d.SetPasses(passes(t, 3)); err != nil {
		t.Fatal(err)
	}
	refused(d, Taken)
}

// TestGateFollowsTheSiteKey changes the site's key while a gate is off, restarts it without a network, and has a thief have the key
// before and the console's account at the broker.
func TestGateFollowsTheSiteKey(t *testing.T) {
	thief, second, third := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	handOver := func(from, to ed25519.PrivateKey) passcode.Handover {
		return passcode.HandOver(from, "plant", to.Public().(ed25519.PublicKey))
	}
	list := func(by ed25519.PrivateKey, version uint64, revoked []passcode.Serial, roots ...passcode.Handover) []byte {
		payload, err := passcode.Passes{Version: version, Site: "plant", Issued: start, Revoked: revoked, Roots: roots,
			Keys: []passcode.Key{{Key: codesKey.Public().(ed25519.PublicKey)}}}.Sign(by)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	c, path := keys(t), filepath.Join(t.TempDir(), "passes.json")
	d := open(t, c, path)
	printed, revoked := codeBy(t, codesKey, passcode.Serial{1}), []passcode.Serial{{9}}
	says := func(what string, want Result, serial passcode.Serial) {
		t.Helper()
		if got, _ := d.Take(Read{At: start, Kind: Input, Text: codeBy(t, codesKey, serial)}); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if err := d.SetPasses(list(siteKey, 5, nil)); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPasses(list(siteKey, math.MaxUint64, nil)); err != nil { // by a thief, who wants it to be the last
		t.Fatal(err)
	}
	changed := list(third, 6, revoked, handOver(siteKey, second), handOver(second, third))
	if err := d.SetPasses(changed); err != nil {
		t.Fatalf("a gate that was off during two changes: %v", err)
	}
	attack := func() {
		t.Helper()
		for what, payload := range map[string][]byte{
			"what the first key has signed before":  list(siteKey, 5, nil),
			"what it signs now":                     list(siteKey, math.MaxUint64, nil),
			"what it signs under the site's words":  list(siteKey, math.MaxUint64, nil, handOver(siteKey, second), handOver(second, third)),
			"its word for a thief":                  list(thief, math.MaxUint64, nil, handOver(siteKey, thief)),
			"the second's word for a thief":         list(thief, math.MaxUint64, nil, handOver(siteKey, second), handOver(second, thief)),
			"the list of the second, from the disk": list(second, 7, nil, handOver(siteKey, second)),
			"an older one of the third":             list(third, 5, nil, handOver(siteKey, second), handOver(second, third)),
			"nothing":                               {},
		} {
			if err := d.SetPasses(payload); err == nil {
				t.Errorf("taken: %s", what)
			}
		}
		says("a code that was printed before the change", Taken, passcode.Serial{1})
		says("one that was revoked after it", Result(passcode.Revoked), passcode.Serial{9})
		if got, _ := d.Take(Read{At: start, Kind: Input, Text: code(t, passcode.Serial{1})}); got != Result(passcode.OtherSite) {
			t.Errorf("a code by the key before is %s", got)
		}
	}
	attack()
	if !strings.Contains(d.Knows(), passcode.Fingerprint(third.Public().(ed25519.PublicKey))) {
		t.Errorf("the gate says not by which key: %s", d.Knows())
	}
	d = open(t, c, path) // without a network
	attack()
	if err := d.SetPasses(list(third, 8, revoked, handOver(siteKey, second), handOver(second, third))); err != nil {
		t.Errorf("the next list: %v", err)
	}
	attack()

	// Somebody gives the gate the newest key by hand: it goes on as it was, and nobody leads it from the first one elsewhere.
	public, err := passcode.MarshalSiteKey(third.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.SiteKeyFile, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, c, path)
	attack()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d = open(t, c, path)
	if err := d.SetPasses(list(thief, math.MaxUint64, nil, handOver(siteKey, thief))); err == nil {
		t.Error("a thief of the first key leads a gate away that has the newest")
	}
	if err := d.SetPasses(changed); err != nil {
		t.Error(err)
	}
	if got, _ := d.Take(Read{At: start, Kind: Input, Text: printed}); got != Taken {
		t.Error(got)
	}
}

// TestThiefWhoWasFaster leads a gate to a thief's key. A key file by hand brings it back.
func TestThiefWhoWasFaster(t *testing.T) {
	thief, second := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	list := func(by ed25519.PrivateKey, version uint64) []byte {
		payload, err := passcode.Passes{Version: version, Site: "plant", Issued: start, Keys: []passcode.Key{{Key: codesKey.Public().(ed25519.PublicKey)}},
			Roots: []passcode.Handover{passcode.HandOver(siteKey, "plant", by.Public().(ed25519.PublicKey))}}.Sign(by)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	c, path := keys(t), filepath.Join(t.TempDir(), "passes.json")
	d := open(t, c, path)
	if err := d.SetPasses(list(thief, math.MaxUint64)); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPasses(list(second, 9)); err == nil {
		t.Fatal("the site has the gate back, and so would the thief")
	}
	public, err := passcode.MarshalSiteKey(second.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.SiteKeyFile, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, c, path)
	text := codeBy(t, codesKey, passcode.Serial{1})
	if got, _ := d.Take(Read{At: start, Kind: Input, Text: text}); got != NoKey { // nothing of the thief's holds
		t.Errorf("before the site is heard a code is %s", got)
	}
	if err := d.SetPasses(list(thief, math.MaxUint64)); err == nil {
		t.Error("the thief has the gate again")
	}
	if err := d.SetPasses(list(second, 9)); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Take(Read{At: start, Kind: Input, Text: text}); got != Taken {
		t.Errorf("a good code is %s", got)
	}
}

// TestOneWhoHasOldCodeAndNumber shows a code that was printed before the number key was changed, and then the number: that is one
// person.
func TestOneWhoHasOldCodeAndNumber(t *testing.T) {
	c := keys(t)
	if err := os.WriteFile(c.NumberKeyFile, []byte(secretNumberKey+" "+strings.Repeat("n", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, c, filepath.Join(t.TempDir(), "passes.json"))
	scene := &event.Scene{Captured: start, Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: 1, Face: event.Box{W: 40}}}}
	d.See(scene, nil)
	for _, text := range []string{code(t, passcode.Serial{1}), "1047"} {
		if got, _ := d.Take(Read{At: start, Kind: Input, Text: text}); got != Taken {
			t.Fatal(got)
		}
	}
	verdicts := []event.Event{{ID: "01", Time: start, Data: event.Data{Outcome: event.Pass, Visit: 1, FirstSeen: start}}}
	d.See(scene, verdicts)
	later := passcode.NumberKeys{[]byte(secretNumberKey), []byte(strings.Repeat("n", 32))}.Pseudonym("1047")
	if got := verdicts[0].Data.Person; got == nil || got.ID != later {
		t.Errorf("it is about %+v, want %s", got, later)
	}
}

func TestTooManyReads(t *testing.T) {
	d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
	for i := range 2 * readsAtOnce {
		got, _ := d.Take(Read{At: start.Add(time.Duration(i) * time.Millisecond), Kind: Webhook, Text: fmt.Sprint(i + 100)})
		if want := map[bool]Result{true: Taken, false: TooMany}[i < readsAtOnce]; got != want {
			t.Fatalf("%d: %s", i, got)
		}
	}
	if got, _ := d.Take(Read{At: start, Kind: Input, Text: "7"}); got != Taken {
		t.Errorf("another reader: %s", got)
	}
	if got, _ := d.Take(Read{At: start.Add(readsWithin + time.Second), Kind: Webhook, Text: "7"}); got != Taken {
		t.Error(got)
	}
}

// TestReadWithATimeOfItsOwn has one person step aside for the next, and a broker that brings the first one's read after that.
func TestReadWithATimeOfItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		prompt time.Duration // how old the reader's read before was when it came; negative where there was none
		made   time.Duration // the time that the read bears
		want   Result
		named  string // who is named in the verdict on the first person, and on the second
		kind   Kind   // MQTT where it is empty
	}{
		"late":                             {200 * time.Millisecond, time.Second, Taken, "1047 ", ""},
		"late on this machine":             {-1, time.Second, Taken, "1047 ", Camera},
		"too late on this machine":         {-1, -2 * time.Second, Late, " ", Input},
		"by a clock that never was proven": {-1, time.Second, Late, " ", ""},
		"by a clock that is slow":          {3 * time.Second, time.Second, Late, " ", ""},
		"by a clock that is fast":          {200 * time.Millisecond, 9 * time.Second, Late, " ", ""},
		"too late":                         {200 * time.Millisecond, -2 * time.Second, Late, " ", ""},
		"just now":                         {-1, 4 * time.Second, Taken, " 1047", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, keys(t), filepath.Join(t.TempDir(), "passes.json"))
			if test.prompt >= 0 {
				before := start.Add(-5 * time.Minute)
				d.Take(Read{At: before, Made: before.Add(-test.prompt), Kind: MQTT, Reader: "turnstile", Text: "7"})
			}
			named := map[int]string{}
			note := func(events []event.Event) {
				for _, e := range events {
					named[e.Data.Visit] = ""
					if p := e.Data.Person; p != nil && p.ID == numberKeys.Pseudonym("1047") {
						named[e.Data.Visit] = "1047"
					}
				}
			}
			see := func(tick, visit int, verdict bool) {
				at := start.Add(time.Duration(tick) * 100 * time.Millisecond)
				scene := &event.Scene{Captured: at, Needs: event.Needs{FaceWidth: 30}, People: []event.Person{{ID: visit, Face: event.Box{W: 40}}}}
				var verdicts []event.Event
				if verdict {
					verdicts = []event.Event{{ID: fmt.Sprint("0", visit), Time: at, Data: event.Data{Outcome: event.Pass, Visit: visit, FirstSeen: start.Add(time.Duration(visit-1) * 2 * time.Second)}}}
				}
				note(d.See(scene, verdicts))
				note(verdicts)
			}
			for tick := range 20 {
				see(tick, 1, tick == 15)
			}
			for tick := 20; tick < 40; tick++ {
				see(tick, 2, tick == 35)
			}
			got, later := d.Take(Read{At: start.Add(4 * time.Second), Made: start.Add(test.made), Kind: cmp.Or(test.kind, MQTT), Reader: "turnstile", Text: "1047"})
			note(later)
			if got != test.want {
				t.Errorf("the read is %s, want %s", got, test.want)
			}
			if said := named[1] + " " + named[2]; said != test.named {
				t.Errorf("named are %q, want %q", said, test.named)
			}
		})
	}
}

func TestConfigNamesItsMistakes(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"inputs":        func(c *Config) { c.Inputs = []string{"scanner"} },
		"repeat":        func(c *Config) { c.Repeat = -time.Second },
		"site_key_file": func(c *Config) { c.Page = true },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(false); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v does not begin with %s", err, want)
		}
	}
	if err := DefaultConfig().Validate(false); err != nil {
		t.Error(err)
	}
}

// TestWebhook sends what a door controller sends, and what an attacker would.
func TestWebhook(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	key := bytes.Repeat([]byte{5}, 32)
	if err := os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	var taken []Read
	result := Taken
	handler, err := NewWebhook(secret, func(r Read) Result { taken = append(taken, r); return result })
	if err != nil {
		t.Fatal(err)
	}
	hook := handler.(*webhook)
	now := hook.began.Add(time.Minute)
	hook.now = func() time.Time { return now }
	const number = `{"number":"1047","reader":"turnstile"}`
	send := func(key []byte, id string, at time.Time, body string) (status int, answer string) {
		timestamp := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		r := httptest.NewRequest(http.MethodPost, "/badge/webhook", strings.NewReader(body))
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", timestamp)
		r.Header.Set("Webhook-Signature", "v1,AAAA v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, step := range []struct {
		name string
		key  []byte
		id   string
		at   time.Time
		body string
		want int
	}{
		{"good", key, "a", now, number, 200},
		{"again", key, "a", now, number, 200},
		{"again, long after", key, "a", now.Add(-time.Hour), number, 200},
		{"again, by another key", bytes.Repeat([]byte{6}, 32), "a", now, number, 401},
		{"its clock is a little slow", key, "b", now.Add(-20 * time.Second), `{"number":"1048","at":"2026-03-02T15:00:00.5+08:00"}`, 200},
		{"old", key, "c", now.Add(-31 * time.Second), number, 401},
		{"of the future", key, "d", now.Add(31 * time.Second), number, 401},
		{"before the start", key, "e", hook.began.Add(-time.Second), number, 401},
		{"another key", bytes.Repeat([]byte{6}, 32), "f", now, number, 401},
		{"without an id", key, "", now, number, 401},
		{"no JSON", key, "g", now, `number=1047`, 400},
		{"number and code", key, "h", now, `{"number":"1","code":"TGPC"}`, 400},
		{"a time that is none", key, "k", now, `{"number":"1","at":"08:00"}`, 400},
		{"a name with a newline", key, "i", now, `{"number":"1","reader":"a\nb"}`, 400},
		{"too long", key, "j", now, `{"number":"` + strings.Repeat("1", 2000) + `"}`, 413},
	} {
		if got, _ := send(step.key, step.id, step.at, step.body); got != step.want {
			t.Errorf("%s: %d, want %d", step.name, got, step.want)
		}
	}
	if len(taken) != 2 || taken[0] != (Read{At: now, Sent: now, Kind: Webhook, Reader: "turnstile", Text: "1047"}) || !taken[1].Made.Equal(start.Add(500*time.Millisecond)) {
		t.Errorf("taken: %+v", taken)
	}
	result = Result(passcode.Expired)
	first, _ := send(key, "refused", now, number)
	if _, again := send(key, "refused", now, number); !strings.Contains(again, "expired") || first != 200 {
		t.Errorf("a refused code that is sent again gets %s", again)
	}
	limited := 0
	for i := range 2 * requestsAtOnce {
		if status, _ := send(key, fmt.Sprint("many", i), now, number); status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < requestsAtOnce {
		t.Errorf("of %d requests at once %d are refused", 2*requestsAtOnce, limited)
	}
	for i := range 2 * maxSeen {
		now = now.Add(time.Second)
		send(key, fmt.Sprint("day", i), now, number)
	}
	if len(hook.seen) > maxSeen || len(hook.order) > maxSeen {
		t.Errorf("%d requests are remembered", len(hook.seen))
	}
}

// typed are the events of a device that types a text: shift where it needs it, and each key down and up.
func typed(t *testing.T, text string, at time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	key := func(code uint16, value int32) {
		for _, e := range []keyEvent{{Type: 4, Code: 4, Value: int32(code)}, {Type: evKey, Code: code, Value: value}, {}} {
			e.Seconds, e.Microseconds = int64(at/time.Second), int64(at%time.Second/time.Microsecond)
			if err := binary.Write(&b, binary.NativeEndian, e); err != nil {
				t.Fatal(err)
			}
		}
		at += 2 * time.Millisecond
	}
	for _, c := range text {
		plain, shifted := strings.IndexRune(keysPlain, c), strings.IndexRune(keysShifted, c)
		switch {
		case c == '\n':
			key(keyEnter, 1)
			key(keyEnter, 0)
		case plain >= 0:
			key(uint16(plain), 1)
			key(uint16(plain), 0)
		case shifted >= 0:
			key(42, 1)
			key(uint16(shifted), 1)
			key(uint16(shifted), 0)
			key(42, 0)
		default:
			t.Fatalf("no key types %q", c)
		}
	}
	return b.Bytes()
}

func TestReaderThatTypes(t *testing.T) {
	good := code(t, passcode.Serial{1})
	var stream []byte
	for _, part := range []struct {
		text string
		at   time.Duration
	}{
		{"0012345678\n", time.Second}, {good + "\n", 3 * time.Second}, {"00123", 5 * time.Second}, {"A-b_7:/.\n", 7 * time.Second},
		{strings.Repeat("1", maxTyped+1) + "\n", 9 * time.Second}, {"\n\n", 12 * time.Second}, {"7\n", 13 * time.Second},
		{"10", 20 * time.Second}, {"8\n", 2 * time.Second}, // the clock is set back meanwhile
	} {
		stream = append(stream, typed(t, part.text, part.at)...)
	}
	stream = append(stream, 1, 2, 3) // unplugged in the middle
	var got []string
	var at []int64
	err := readInput(bytes.NewReader(stream), func(text string, typed time.Time) { got, at = append(got, text), append(at, typed.Unix()) })
	if want := []string{"0012345678", good, "A-b_7:/.", "7", "8"}; fmt.Sprint(got) != fmt.Sprint(want) || err == nil {
		t.Errorf("read %q, want %q; %v", got, want, err)
	}
	if want := []int64{1, 4, 7, 13, 2}; fmt.Sprint(at) != fmt.Sprint(want) {
		t.Errorf("typed at %v, want %v", at, want)
	}
}

func TestKeysThatWereDroppedLeaveNoText(t *testing.T) {
	all := typed(t, "0012345678\n", time.Second)
	size := binary.Size(keyEvent{})
	var dropped bytes.Buffer
	if err := binary.Write(&dropped, binary.NativeEndian, keyEvent{Seconds: 1, Type: evSyn, Code: synDropped}); err != nil {
		t.Fatal(err)
	}
	stream := bytes.Join([][]byte{all[:18*size], dropped.Bytes(), all[24*size:], typed(t, "7\n", 5*time.Second)}, nil)
	var got []string
	_ = readInput(bytes.NewReader(stream), func(text string, _ time.Time) { got = append(got, text) })
	if len(got) != 1 || got[0] != "7" {
		t.Errorf("read %q", got)
	}
}

// TestReaderComesBack unplugs a reader, here a pipe of its events, and plugs it in again.
func TestReaderComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event7")
	reads := make(chan Read, 1)
	go RunInput(t.Context(), path, "2", func(r Read) { reads <- r }, slog.New(slog.DiscardHandler))
	for _, number := range []string{"1047", "1048"} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		device, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			t.Fatal(err)
		}
		if _, err := device.Write(typed(t, number+"\n", time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := <-reads; got.Text != number || got.Kind != Input || got.Reader != "2" || got.At.IsZero() || got.Made.Unix() != 1 {
			t.Errorf("read %+v", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		device.Close()
	}
}

func FuzzTyping(f *testing.F) {
	f.Add([]byte{1, 2, 3, 28, 42, 30, 28})
	f.Fuzz(func(t *testing.T, keys []byte) {
		var typing typing
		for i, key := range keys {
			if text, whole := typing.key(keyEvent{Type: evKey, Code: uint16(key), Value: int32(i % 2)}); whole && (text == "" || len(text) > maxTyped) {
				t.Errorf("%d characters", len(text))
			}
		}
	})
}
