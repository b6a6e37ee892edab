package badge

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/event"
	"thermogate/screening/listen"
)

// Kind is what a read came by.
type Kind string

// The kinds of readers.
const (
	Input   Kind = "input"   // types, on this machine
	MQTT    Kind = "mqtt"    // command/badge
	Webhook Kind = "webhook" // a signed request
	Camera  Kind = "camera"  // has seen a code
	Page    Kind = "page"    // types into the page at the gate
)

// Kinds are all of them.
var Kinds = []Kind{Input, MQTT, Webhook, Camera, Page}

// Read is what a reader has read.
type Read struct {
	At     time.Time // when it came
	Made   time.Time // when it was read, where the reader says so
	Sent   time.Time // when it was sent, by a clock that may be wrong, where that is known
	Kind   Kind
	Reader string // its name, where there are several of a kind
	Text   string // a pass code, or the number of a badge; nobody keeps it
}

// Result is what became of a read, for metrics and for whoever is told: "taken", or why not.
type Result string

// The results beside the reasons of passcode.Refusal.
const (
	Taken   Result = "taken"
	NoKey   Result = "no-key"   // there is no key by which it could be checked
	Garbled Result = "garbled"  // neither a pass code nor a number
	TooMany Result = "too-many" // the readers read faster than people can
	Late    Result = "late"     // it was read too long ago, or the clock of the reader is wrong
)

// Results are all of them.
func Results() []Result {
	all := []Result{Taken, NoKey, Garbled, TooMany, Late}
	for _, refusal := range []passcode.Refusal{passcode.Cut, passcode.OtherSite, passcode.Forged, passcode.NotYetValid, passcode.Expired, passcode.Revoked} {
		all = append(all, Result(refusal))
	}
	return all
}

// Desk takes what all readers of a gate read, and says who the gate's verdicts are about. All methods may be called from several
// goroutines at once.
type Desk struct {
	site       string
	passes     *passesFile         // nil takes no pass codes
	numberKeys passcode.NumberKeys // nil takes no numbers

	mu      sync.Mutex
	pairing *Pairing
	ids     event.IDs
	said    time.Time            // by the newest id
	recent  map[Kind][]time.Time // of the newest reads
	prompt  map[reader]time.Time // when each came last with what it had just read
	clocks  map[reader]*clock    // of those whose reads have no time of their own
}

// reader is one of a kind, by its name.
type reader struct {
	kind Kind
	name string
}

// Open reads the keys that cfg names, and from path the newest passes that the gate was told, if any.
func Open(cfg Config, site, path string, log *slog.Logger) (*Desk, error) {
	d := &Desk{site: site, pairing: NewPairing(cfg.Repeat), ids: event.NewIDs(rand.Reader), recent: map[Kind][]time.Time{}, prompt: map[reader]time.Time{}, clocks: map[reader]*clock{}}
	if cfg.SiteKeyFile != "" {
		text, err := os.ReadFile(cfg.SiteKeyFile)
		var siteKey ed25519.PublicKey
		if err == nil {
			siteKey, err = passcode.ParseSiteKey(string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("badge.site_key_file: %w", err)
		}
		if d.passes, err = openPasses(path, siteKey, site, log); err != nil {
			log.Error("pass codes are refused until the console says which are revoked; if the site has another key than before, remove the file", "error", err)
		}
	}
	if cfg.NumberKeyFile != "" {
		text, err := listen.ReadSecret(cfg.NumberKeyFile)
		if err == nil {
			d.numberKeys, err = passcode.ParseNumberKeys(text)
		}
		if err != nil {
			return nil, fmt.Errorf("badge.number_key_file: %w", err)
		}
	}
	return d, nil
}

// SetPasses takes a message that says which pass codes are good. It fails for one that the site's key has not signed, and for
// one that is older than what the gate knows.
func (d *Desk) SetPasses(payload []byte) error {
	if d.passes == nil {
		return errors.New("passes: this gate has no key of the site (badge.site_key_file)")
	}
	return d.passes.set(payload)
}

// Knows says in words by what the gate checks what is read.
func (d *Desk) Knows() string {
	var known []string
	if d.passes != nil {
		if passes := d.passes.newest(); passes == nil {
			known = append(known, "what is revoked is not known until the console says it")
		} else {
			told := "the console has told nothing more yet"
			if passes.Version > 0 {
				told = fmt.Sprintf("version %d of what the console has told, of %s", passes.Version, passes.Issued.Format(time.RFC3339))
			}
			known = append(known, fmt.Sprintf("pass codes by the site's key %s: %s", passcode.Fingerprint(passes.SiteKey), told))
		}
	}
	if n := len(d.numberKeys); n == 1 {
		known = append(known, "numbers")
	} else if n > 1 {
		known = append(known, fmt.Sprintf("numbers by %d keys", n))
	}
	return strings.Join(known, ", ")
}

// Keys tells by which of the site's keys the gate goes: the fingerprint of the public one, empty where it takes no pass codes, how
// many number keys it has, and their fingerprint, empty where it has none.
func (d *Desk) Keys() (site string, numbers int, newest string) {
	if d.passes != nil {
		site = passcode.Fingerprint(d.passes.goesBy())
	}
	if len(d.numberKeys) > 0 {
		newest = d.numberKeys.Fingerprint()
	}
	return site, len(d.numberKeys), newest
}

// See takes a frame, and names whom it can in the verdicts that it led to. It returns events that say it of earlier ones.
func (d *Desk) See(scene *event.Scene, verdicts []event.Event) []event.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tell(d.pairing.See(scene, verdicts), scene.Captured)
}

// Take takes a read, and returns what became of it, and events that say who earlier verdicts are about.
func (d *Desk) Take(read Read) (Result, []event.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.mayCome(read) { // before anything is computed: frames wait for this
		return TooMany, nil
	}
	made, known := d.timeOf(read)
	if !known {
		return Late, nil
	}
	result, person, counts := d.check(read)
	if !counts {
		return result, nil
	}
	return result, d.tell(d.pairing.Take(made, person, result != Taken), read.At)
}

// Tick returns what time alone decides, where no frames come.
func (d *Desk) Tick(at time.Time) []event.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tell(d.pairing.Tick(at), at)
}

// Waits is the visit of who stands before the gate alone and of whom nothing valid was read yet, 0 where there is none; and
// whether they have shown what is not valid.
func (d *Desk) Waits() (visit int, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pairing.Waits()
}

// At most readsAtOnce reads of a kind count within readsWithin: who floods one reader leaves the others.
const (
	readsAtOnce = 50
	readsWithin = 10 * time.Second
)

func (d *Desk) mayCome(read Read) bool {
	recent := d.recent[read.Kind]
	if len(recent) == readsAtOnce {
		if read.At.Sub(recent[0]) < readsWithin {
			return false
		}
		recent = slices.Delete(recent, 0, 1)
	}
	d.recent[read.Kind] = append(recent, read.At)
	return true
}

// A reader that says when it has read is believed within maxDelay, if its clock is right: within clockTrust it has come with
// something that it had read just then, give or take atOnce. A clock that is slow would give one person's read to the one before.
const (
	atOnce     = time.Second
	clockTrust = 10 * time.Minute
)

// timeOf is when something was read; known is false where nobody can tell.
func (d *Desk) timeOf(read Read) (made time.Time, known bool) {
	from, delay := reader{read.Kind, read.Reader}, read.At.Sub(read.Made)
	if read.Made.IsZero() {
		return read.At, read.Sent.IsZero() || d.cameAtOnce(from, read)
	}
	if delay.Abs() <= atOnce {
		maps.DeleteFunc(d.prompt, func(_ reader, at time.Time) bool { return read.At.Sub(at) > clockTrust })
		d.prompt[from] = read.At
		return read.At.Add(-max(delay, 0)), true
	}
	proven, was := d.prompt[from]
	ours := read.Kind == Input || read.Kind == Camera // this machine's own clock
	right := ours || was && read.At.Sub(proven) <= clockTrust
	made = read.At.Add(-delay) // by this gate's clock, also where somebody has set that since
	return made, right && delay > 0 && delay <= maxDelay
}

// clock is what is known of the clock of something that says when it sends.
type clock struct {
	least time.Duration // that came between sending and coming, by both clocks
	at    time.Time     // of its newest read
	late  time.Time     // when the first of those came that were late since one came at once
}

const (
	// sentLimit is how much longer than the quickest a message may be under way: it is told to the second.
	sentLimit = 2 * time.Second
	// Two clocks that nobody sets go apart by up to clocksApart of the time, 9 s a day: twice what a usual quartz (50 ppm) does. No
	// more than slipLimit of it between two reads is taken for that, or after a quiet night what was under way for long would be, too.
	clocksApart = 1e-4
	slipLimit   = time.Second
)

// maxClocks are more readers than a gate has.
const maxClocks = 256

// cameAtOnce says whether a read has come as quickly as the quickest of its reader. Where none does for clockTrust, the clock was set.
// The first one, of which that can't be said, teaches how its clock goes, and so does one by as much later as clocks go apart.
func (d *Desk) cameAtOnce(from reader, read Read) bool {
	took := read.At.Sub(read.Sent)
	c := d.clocks[from]
	if c == nil {
		if len(d.clocks) == maxClocks {
			clear(d.clocks)
		}
		d.clocks[from] = &clock{least: took, at: read.At}
		return took <= sentLimit
	}
	slip := time.Duration(clocksApart * float64(max(0, read.At.Sub(c.at))))
	c.at = read.At
	if took <= c.least+sentLimit+min(slip, slipLimit) {
		c.least, c.late = min(c.least+slip, took), time.Time{}
		return true
	}
	c.late = cmp.Or(c.late, read.At)
	if took <= c.least+sentLimit+slip || read.At.Sub(c.late) > clockTrust {
		c.least, c.late = took, time.Time{}
	}
	return false
}

// number is what a badge may have for one.
var number = regexp.MustCompile(`^[\pL\pN][\pL\pN ._:/-]{0,63}$`)

// check says what a read is worth. What counts is somebody's attempt, good or not; the rest is noise.
func (d *Desk) check(read Read) (result Result, person event.Bearer, counts bool) {
	text := strings.TrimSpace(read.Text)
	person.By = string(read.Kind)
	if read.Reader != "" {
		person.By += "/" + read.Reader
	}
	var passes *passcode.Passes
	if d.passes != nil {
		passes = d.passes.newest()
	}
	switch {
	case passcode.Is(text) && passes == nil, !passcode.Is(text) && d.numberKeys == nil && number.MatchString(text):
		return NoKey, person, false
	case passcode.Is(text):
		code, err := passcode.Verify(d.site, *passes, text, read.At)
		var refusal passcode.Refusal
		if errors.As(err, &refusal) {
			return Result(refusal), person, true
		}
		person.ID, person.Company, person.Signed = code.NewestPerson(d.numberKeys), code.Company, true
		return Taken, person, true
	case !number.MatchString(text):
		return Garbled, person, false
	}
	person.ID = d.numberKeys.Pseudonym(text)
	return Taken, person, true
}

// tell puts words into events. Of two about the same verdict the one with the greater id counts, so ids go on where a frame comes
// late or the clock is set back, and never stand before the verdict's.
func (d *Desk) tell(words []Word, at time.Time) []event.Event {
	var events []event.Event
	for _, word := range words {
		of := &word.Of
		d.said = maxTime(maxTime(d.said, at), of.Time.Add(time.Millisecond))
		events = append(events, event.Event{
			SpecVersion: of.SpecVersion, ID: d.ids.At(d.said), Source: of.Source,
			Type: event.Named.EventType(), Time: at, DataContentType: of.DataContentType,
			Data: event.Data{
				Outcome: event.Named, PersonOf: of.ID, Person: word.Person, Unpaired: word.Unpaired, Policy: of.Data.Policy,
				FirstSeen: of.Data.FirstSeen, Reference: event.Reference{Found: of.Data.Reference.Found, NominalAssumed: of.Data.Reference.NominalAssumed},
				Visit: of.Data.Visit, Camera: of.Data.Camera, Version: of.Data.Version,
			},
		})
	}
	return events
}
