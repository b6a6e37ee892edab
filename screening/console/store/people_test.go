package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// pseudonymOf is that of a number in these tests.
func pseudonymOf(number string) string { return "of-" + number }

// onList puts people of a company on the list of plant, at a time.
func onList(t testing.TB, s *Store, company string, whole bool, at time.Time, rows ...Listed) Upload {
	t.Helper()
	return apply(t, s, company, whole, pseudonymOf, at, rows...)
}

func apply(t testing.TB, s *Store, company string, whole bool, pseudonym func(string) string, at time.Time, rows ...Listed) Upload {
	t.Helper()
	for i := range rows {
		rows[i].Line = i + 2
		if rows[i].Name == "" {
			rows[i].Name = "name of " + rows[i].Number
		}
		if company != "" {
			rows[i].Company = company
		}
	}
	id, err := s.AddUpload(t.Context(), Upload{Site: "plant", Company: company, By: "hr", File: "list.csv", Whole: whole}, rows, nil, at)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := s.ShowUpload(t.Context(), "plant", id, at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.ApplyUpload(t.Context(), "plant", id, d.Sum(), pseudonym, Author{Account: "hr"}, at)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// listed is the list of plant as text: "A1 name (company) early".
func listed(t testing.TB, s *Store, f PeopleFilter) string {
	t.Helper()
	f.Site = "plant"
	people, err := s.People(t.Context(), f, time.Now(), -1)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range people {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", p.Number, p.Name, p.Shift)))
	}
	return strings.Join(all, ", ")
}

func TestUploads(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Now().Truncate(time.Millisecond)
		by := Author{Account: "hr"}
		acme, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: "Acme", Short: "acme"}, by, at)
		if err != nil {
			t.Fatal(err)
		}
		var unfit UnfitError
		if _, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: "Kelvin", Short: "\u212Aelvin"}, by, at); !errors.As(err, &unfit) {
			t.Errorf("a short name is taken that no code can have: %v", err)
		}
		if _, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: "Other", Short: "acme"}, by, at); !errors.Is(err, ErrCompanyTaken) {
			t.Errorf("a short name is given twice: %v", err)
		}
		first := onList(t, s, "", true, at, Listed{Number: "A1"}, Listed{Number: "A2", Shift: "1"})
		if first.Added != 2 || listed(t, s, PeopleFilter{}) != "A1 name of A1, A2 name of A2 1" {
			t.Errorf("%+v, %s", first, listed(t, s, PeopleFilter{}))
		}
		second := onList(t, s, acme, true, at.Add(time.Second), Listed{Number: "C1"}, Listed{Number: "A1"})
		if second.Added != 1 || second.Refused != 1 || second.Gone != 0 {
			t.Errorf("a company has taken the number of another: %+v", second)
		}
		if got := listed(t, s, PeopleFilter{Company: &acme}); got != "C1 name of C1" {
			t.Errorf("the company has %s", got)
		}
		if got := listed(t, s, PeopleFilter{Text: "OF a2"}); got != "A2 name of A2 1" {
			t.Errorf("found %s", got)
		}
		if got := listed(t, s, PeopleFilter{Text: "%"}); got != "" {
			t.Errorf("a sign of the database's finds %s", got)
		}
		third := onList(t, s, "", true, at.Add(2*time.Second), Listed{Number: "A2", Shift: "2"}, Listed{Number: "A3"})
		if third.Added != 1 || third.Changed != 1 || third.Gone != 1 || listed(t, s, PeopleFilter{}) != "A2 name of A2 2, A3 name of A3, C1 name of C1" {
			t.Errorf("%+v, %s", third, listed(t, s, PeopleFilter{}))
		}
		if err := s.UndoUpload(t.Context(), "plant", first.ID, by, at.Add(3*time.Second)); !errors.Is(err, ErrNotLast) {
			t.Errorf("an upload is undone under another: %v", err)
		}
		uploads, err := s.Uploads(t.Context(), "plant", "", at.Add(3*time.Second), 10)
		if err != nil || len(uploads) != 3 || !uploads[0].Undoable || uploads[1].Undoable || uploads[2].Undoable {
			t.Errorf("%+v, %v", uploads, err)
		}
		if err := s.UndoUpload(t.Context(), "plant", third.ID, by, at.Add(25*time.Hour)); !errors.Is(err, ErrNoUpload) {
			t.Errorf("an upload is undone after a day: %v", err)
		}
		if err := s.UndoUpload(t.Context(), "plant", third.ID, by, at.Add(3*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := listed(t, s, PeopleFilter{}); got != "A1 name of A1, A2 name of A2 1, C1 name of C1" {
			t.Errorf("undone it is %s", got)
		}
		id, err := s.AddUpload(t.Context(), Upload{Site: "plant", By: "hr"}, []Listed{{Line: 2, Number: "A9", Name: "nine"}}, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyUpload(t.Context(), "plant", id, "of another", pseudonymOf, by, at); !errors.Is(err, ErrChanged) {
			t.Errorf("what nobody has seen is applied: %v", err)
		}
		if _, err := s.ApplyUpload(t.Context(), "elsewhere", id, "", pseudonymOf, by, at); !errors.Is(err, ErrNoUpload) {
			t.Errorf("an upload of another site is applied: %v", err)
		}
	})
}

// TestPassedOverIsNotGone has a whole list with a line of somebody that is not right: they have not left.
func TestPassedOverIsNotGone(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Now().Truncate(time.Millisecond)
		onList(t, s, "", true, at, Listed{Number: "A1"}, Listed{Number: "A2"}, Listed{Number: "A3"})
		id, err := s.AddUpload(t.Context(), Upload{Site: "plant", Whole: true}, []Listed{{Line: 2, Number: "A1", Name: "name of A1"}},
			[]Unlisted{{Line: 3, Why: "bad-text", Text: "=1", Number: "A2"}, {Line: 4, Why: "no-number"}}, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, d, err := s.ShowUpload(t.Context(), "plant", id, at); err != nil || len(d.Gone) != 1 || d.Gone[0].Number != "A3" || len(d.Refused) != 2 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestNumberOfOneWhoLeft has a company list the number of somebody who has left another one: what is kept of them stays where it is.
func TestNumberOfOneWhoLeft(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		var ids []string
		for _, name := range []string{"Acme", "Other"} {
			id, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: name}, Author{}, at)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		onList(t, s, ids[0], true, at, Listed{Number: "C1", Department: "secret"}, Listed{Number: "C2"})
		onList(t, s, ids[0], true, at.Add(time.Second), Listed{Number: "C2"})
		id, err := s.AddUpload(t.Context(), Upload{Site: "plant", Company: ids[1]}, []Listed{{Line: 2, Number: "C1", Name: "x", Company: ids[1]}}, nil, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, d, err := s.ShowUpload(t.Context(), "plant", id, at); err != nil || len(d.Changed)+len(d.Added) > 0 || len(d.Refused) != 1 || d.Refused[0].Why != NumberTaken {
			t.Errorf("another company is shown %+v, %v", d, err)
		}
		if back := onList(t, s, ids[0], false, at.Add(2*time.Second), Listed{Number: "C1"}); back.Changed != 1 {
			t.Errorf("their own can't list them anew: %+v", back)
		}
		onList(t, s, ids[0], true, at.Add(3*time.Second), Listed{Number: "C2"})
		if other := onList(t, s, "", false, at.Add(4*time.Second), Listed{Number: "C1", Name: "another"}); other.Refused != 1 || other.Changed != 0 {
			t.Errorf("somebody else gets the number, and what is kept of who had it: %+v", other)
		}
	})
}

// TestCodesOfOneWhoMoves has somebody come to a company that is not approved, with the code of one that is.
func TestCodesOfOneWhoMoves(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		acme, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: "Acme"}, Author{}, at)
		if err != nil {
			t.Fatal(err)
		}
		onList(t, s, "", true, at, Listed{Number: "A1"}, Listed{Number: "A2"})
		code := func(serial, number, company string) {
			t.Helper()
			people, err := s.People(t.Context(), PeopleFilter{Site: "plant", Text: number}, at, 1)
			if err == nil {
				err = s.AddCodes(t.Context(), "plant", []PassCode{{Serial: serial, Person: people[0].ID, Company: company, From: at, To: at.Add(time.Hour)}}, Author{}, at)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		bad := func(want ...string) {
			t.Helper()
			if got, err := s.BadSerials(t.Context(), "plant", at); err != nil || !slices.Equal(got, want) {
				t.Errorf("not good are %v, %v, want %v", got, err, want)
			}
		}
		code("01", "A1", "")
		code("02", "A2", "")
		move := onList(t, s, "", false, at.Add(time.Second), Listed{Number: "A1", Company: acme}, Listed{Number: "A2", Shift: "1"})
		bad("01")
		if barred, err := s.BarredCompanies(t.Context(), "plant", at); err != nil || len(barred) != 0 {
			t.Errorf("a company without codes is told: %v, %v", barred, err)
		}
		code("03", "A1", acme)
		bad("01")
		for state, want := range map[CompanyState]int{Approved: 0, Suspended: 1} {
			if err := s.DecideCompany(t.Context(), Company{Site: "plant", ID: acme, State: state, Reason: "a reason"}, Author{}, at); err != nil {
				t.Fatal(err)
			}
			if barred, err := s.BarredCompanies(t.Context(), "plant", at); err != nil || len(barred) != want {
				t.Errorf("%s: barred are %v, %v", state, barred, err)
			}
		}
		bad("01")
		if err := s.UndoUpload(t.Context(), "plant", move.ID, Author{}, at.Add(2*time.Second)); err != nil {
			t.Fatal(err)
		}
		bad("01", "03")
	})
}

// say has a gate say who an event is about, in the event itself or later.
func say(t testing.TB, s *Store, e Event) {
	t.Helper()
	if _, err := s.Append(t.Context(), []Event{e}); err != nil {
		t.Fatal(err)
	}
}

var (
	peopleJournal = ulid.MustNew(1, ulid.DefaultEntropy()).String()
	peopleNext    int
)

// screened is an event of a gate; with person or unpaired it says who it is about.
func screened(t testing.TB, gate mqtt.Gate, at time.Time, outcome event.Outcome, change func(*event.Data)) Event {
	t.Helper()
	peopleNext++
	e := event.Event{
		SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(gate.Site, gate.Name),
		Type: "thermogate.screening." + string(outcome) + ".v1", Time: at.UTC(), DataContentType: "application/json",
		Journal: peopleJournal, Sequence: fmt.Sprint(peopleNext), Data: event.Data{Outcome: outcome, Camera: "test", Version: "test", FirstSeen: at.UTC()},
	}
	if change != nil {
		change(&e.Data)
	}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := NewEvent(gate, body, at.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func of(number string) func(*event.Data) {
	return func(d *event.Data) { d.Person = &event.Bearer{ID: pseudonymOf(number), By: "desk"} }
}

func naming(of, number string) func(*event.Data) {
	return func(d *event.Data) {
		d.PersonOf, d.Person = of, &event.Bearer{ID: pseudonymOf(number), By: "desk"}
	}
}

func TestWhoEventsAreAbout(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Now().Add(-time.Hour).Truncate(time.Second)
		passed := screened(t, north, at, event.Pass, of("A1"))
		say(t, s, passed)
		bearer := func(e Event) string {
			b, _, err := s.BearerOf(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(b.ID, "of-") + string(b.Unpaired)
		}
		kept, err := s.Event(t.Context(), passed.ID)
		if err != nil || strings.Contains(string(kept.Body), "of-A1") || kept.Data.Camera != "test" {
			t.Errorf("the event is kept as %s, %v", kept.Body, err)
		}
		if bearer(passed) != "A1" {
			t.Errorf("it is about %s", bearer(passed))
		}
		// What says so may come first, twice, and from another gate.
		alert := screened(t, north, at.Add(time.Minute), event.Alert, func(d *event.Data) { d.Unpaired = event.NoRead })
		later := screened(t, north, at.Add(time.Minute+3*time.Second), event.Named, naming(alert.ID, "A2"))
		say(t, s, later)
		say(t, s, alert)
		say(t, s, later)
		if bearer(alert) != "A2" {
			t.Errorf("the alert is about %s", bearer(alert))
		}
		say(t, s, screened(t, south, at.Add(time.Minute+9*time.Second), event.Named, naming(alert.ID, "A9")))
		if bearer(alert) != "A2" {
			t.Errorf("another gate has said that the alert is about %s", bearer(alert))
		}
		say(t, s, screened(t, north, at.Add(time.Minute+20*time.Second), event.Named, func(d *event.Data) { d.PersonOf, d.Unpaired = alert.ID, event.TwoReads }))
		if bearer(alert) != string(event.TwoReads) {
			t.Errorf("the last word is %s", bearer(alert))
		}
		// It counts nothing, opens no alert, is in no history, and its place in the journal is filled.
		r, err := s.Report(t.Context(), Period{Site: "plant", From: at.Truncate(time.Hour), To: at.Truncate(time.Hour).Add(2 * time.Hour)})
		if err != nil || r.All.People != 2 {
			t.Errorf("%d people, %v", r.All.People, err)
		}
		if open, err := s.OpenAlerts(t.Context()); err != nil || len(open) != 1 {
			t.Errorf("%+v, %v", open, err)
		}
		if events, err := s.Events(t.Context(), Filter{}, 10); err != nil || len(events) != 2 {
			t.Errorf("%d events, %v", len(events), err)
		}
		holdings, err := s.Holdings(t.Context())
		held := slices.ContainsFunc(holdings, func(h Holding) bool {
			return h.Gate == north && slices.ContainsFunc(h.held, func(span mqtt.Span) bool { return span.From <= later.sequence && later.sequence <= span.To })
		})
		if err != nil || !held {
			t.Errorf("%+v lack what says who an event is about, %v", holdings, err)
		}
	})
}

func TestNamingsThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*event.Data){
		"of no event":       func(d *event.Data) { d.Person = &event.Bearer{ID: "a", By: "b"} },
		"of nobody":         func(d *event.Data) { d.PersonOf = ulid.Make().String() },
		"with a line break": func(d *event.Data) { naming(ulid.Make().String(), "a\nb")(d) },
		"somebody and not":  func(d *event.Data) { naming(ulid.Make().String(), "a")(d); d.Unpaired = event.NoRead },
		"with a long reason": func(d *event.Data) {
			d.PersonOf, d.Unpaired = ulid.Make().String(), event.Unpaired(strings.Repeat("x", 65))
		},
	} {
		e := event.Event{ID: ulid.Make().String(), Source: event.Source(north.Site, north.Name), Time: time.Now(), Data: event.Data{Outcome: event.Named}}
		change(&e.Data)
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewEvent(north, body, time.Now()); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// TestPlantsTellNobody has a plant's console, or who pretends to be one, tell a district who people are.
func TestPlantsTellNobody(t *testing.T) {
	e := screened(t, north, time.Now(), event.Pass, of("A1"))
	told, err := NewPlantEvent("plant", e.Body, time.Now())
	if err != nil || strings.Contains(string(told.Body), pseudonymOf("A1")) || told.Data.Person != nil {
		t.Errorf("%s, %v", told.Body, err)
	}
	if _, err := NewPlantEvent("plant", screened(t, north, time.Now(), event.Named, naming(e.ID, "A1")).Body, time.Now()); err == nil {
		t.Error("a district takes who an event is about")
	}
}

// TestNoNameBesideATemperature exports an event, which an administrator may, and who it is about, which the personnel office may.
func TestNoNameBesideATemperature(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Now()
		onList(t, s, "", true, now.Add(-time.Hour), Listed{Number: "A1"})
		people, err := s.People(t.Context(), PeopleFilter{Site: "plant"}, now, -1)
		if err != nil {
			t.Fatal(err)
		}
		who := event.Bearer{ID: pseudonymOf("A1"), Company: "haitian", By: "desk"}
		e := screened(t, north, now.Add(-time.Minute), event.Pass, func(d *event.Data) { d.Person, d.SkinCelsius = &who, new(35.25) })
		say(t, s, e)
		var ofEvent, ofPerson bytes.Buffer
		if err := errors.Join(s.ExportEvent(t.Context(), e.ID, &ofEvent), s.ExportPerson(t.Context(), "plant", people[0].ID, now, &ofPerson)); err != nil {
			t.Fatal(err)
		}
		if text := ofEvent.String(); !strings.Contains(text, "35.25") || strings.Contains(text, who.ID) || strings.Contains(text, who.Company) || !strings.Contains(text, `"known":{"by":"desk"}`) {
			t.Errorf("of the event: %s", text)
		}
		if text := ofPerson.String(); !strings.Contains(text, e.ID) || strings.Contains(text, "35.25") {
			t.Errorf("of the person: %s", text)
		}
	})
}

func TestForgetting(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Now().Truncate(time.Millisecond)
		at := now.Add(-time.Hour)
		onList(t, s, "", true, at, Listed{Number: "A1"}, Listed{Number: "A2"})
		people, err := s.People(t.Context(), PeopleFilter{Site: "plant"}, now, -1)
		if err != nil {
			t.Fatal(err)
		}
		one := people[0]
		passed := screened(t, north, at, event.Pass, of("A1"))
		say(t, s, passed)
		code := PassCode{Serial: "0011223344556677", Person: one.ID, Key: "k", From: at, To: now.Add(time.Hour)}
		if err := s.AddCodes(t.Context(), "plant", []PassCode{code}, Author{Account: "hr"}, at); err != nil {
			t.Fatal(err)
		}
		line, sum, err := s.PersonRecord(t.Context(), "plant", one.ID, now)
		if err != nil || !strings.Contains(string(line), passed.ID) || !strings.Contains(string(line), "name of A1") || !strings.Contains(string(line), code.Serial) {
			t.Errorf("%s, %v", line, err)
		}
		if _, err := s.ForgetPerson(t.Context(), "plant", one.ID, "another", "asked to", Author{Account: "hr"}, now); !errors.Is(err, ErrChanged) {
			t.Errorf("what nobody has seen is deleted: %v", err)
		}
		hold, err := s.AddHold(t.Context(), Hold{Gate: north, Reason: "court"}, Author{}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ForgetPerson(t.Context(), "plant", one.ID, sum, "asked to", Author{Account: "hr"}, now); !errors.Is(err, ErrHeld) {
			t.Errorf("what a hold keeps is deleted: %v", err)
		}
		if err := s.EndHold(t.Context(), hold, "over", Author{}, now); err != nil {
			t.Fatal(err)
		}
		f, err := s.ForgetPerson(t.Context(), "plant", one.ID, sum, "asked to", Author{Account: "hr"}, now)
		if err != nil || f.Links != 1 || f.SHA256 != sum {
			t.Fatalf("%+v, %v", f, err)
		}
		for _, table := range []string{"people", "bearers", "pass_codes", "uploads"} {
			var left int
			column := map[string]string{"people": "name", "bearers": "person", "pass_codes": "person", "uploads": "coalesce(CAST(content AS TEXT), '')"}[table]
			if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE "+column+" LIKE '%A1%' OR "+column+" = $1", one.ID).Scan(&left); err != nil || left != 0 {
				t.Errorf("%s has %d rows of them, %v", table, left, err)
			}
		}
		bad, err := s.BadSerials(t.Context(), "plant", now)
		if err != nil || len(bad) != 1 || bad[0] != code.Serial {
			t.Errorf("%v, %v", bad, err)
		}
		if err := s.AddFirstSiteKeys(t.Context(), []SiteKey{{Site: "plant", Kind: CodesKey, Secret: []byte("of codes"), MadeAt: at}}); err != nil {
			t.Fatal(err)
		}
		keys, err := s.SiteKeys(t.Context(), "plant")
		if err != nil || len(keys) != 1 {
			t.Fatalf("%+v, %v", keys, err)
		}
		ended := PassCode{Serial: "ffeeddccbbaa9988", Person: people[1].ID, Key: keys[0].ID, From: at, To: now.Add(time.Hour)}
		if err := s.AddCodes(t.Context(), "plant", []PassCode{ended}, Author{}, at); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RevokeCodes(t.Context(), "plant", []string{people[1].ID}, Author{}, now); err != nil {
			t.Fatal(err)
		}
		if bad, err = s.BadSerials(t.Context(), "plant", now); err != nil || len(bad) != 2 {
			t.Errorf("%v, %v", bad, err)
		}
		if err := s.AddCodesKey(t.Context(), SiteKey{Site: "plant", Kind: CodesKey, Secret: []byte("the next"), MadeAt: now}, now, Author{}); err != nil {
			t.Fatal(err)
		}
		if bad, err = s.BadSerials(t.Context(), "plant", now.Add(time.Second)); err != nil || len(bad) != 1 { // that of no key here
			t.Errorf("codes of a key that has ended are told one by one: %v, %v", bad, err)
		}
		// What comes late is of nobody, in this and all later processes; the event itself stays.
		say(t, s, screened(t, north, at.Add(time.Second), event.Named, naming(passed.ID, "A1")))
		if _, ok, err := s.BearerOf(t.Context(), passed); ok || err != nil {
			t.Errorf("the event is about somebody again, %v", err)
		}
		clear(s.forgotten)
		if err := s.readPeople(t.Context()); err != nil {
			t.Fatal(err)
		}
		say(t, s, screened(t, north, now, event.Pass, of("A1")))
		if links, err := s.Passages(t.Context(), one, 10); err != nil || len(links) != 0 {
			t.Errorf("%+v, %v", links, err)
		}
		if _, err := s.Event(t.Context(), passed.ID); err != nil {
			t.Error(err)
		}
		lines, err := s.Audit(t.Context(), AuditFilter{What: ForgotPerson}, 10)
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Detail, sum) || strings.Contains(lines[0].Detail, "A1") {
			t.Errorf("%+v, %v", lines, err)
		}
		// Who is put on the list again is known from then on.
		again := onList(t, s, "", false, now.Add(time.Second), Listed{Number: "A1"})
		links := func(want int) {
			t.Helper()
			say(t, s, screened(t, north, now.Add(2*time.Second), event.Pass, of("A1")))
			if links, err := s.Passages(t.Context(), one, 10); err != nil || len(links) != want {
				t.Errorf("%+v, %v, want %d", links, err, want)
			}
		}
		links(1)
		// Where that was a mistake, they are forgotten as before, also by later processes.
		if err := s.UndoUpload(t.Context(), "plant", again.ID, Author{}, now.Add(3*time.Second)); err != nil {
			t.Fatal(err)
		}
		links(0)
		if forgotten, err := s.Forgotten(t.Context(), "plant"); err != nil || len(forgotten) != 1 || forgotten[0].again != 0 {
			t.Errorf("%+v, %v", forgotten, err)
		}
	})
}

// TestNumberKeyThatIsChanged has gates call people as before, and by a further key, and forgets one of them.
func TestNumberKeyThatIsChanged(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Now().Truncate(time.Millisecond)
		day := DayOf(now.UTC()) - 1
		begin := day.Begin(time.UTC).Add(6 * time.Hour)
		first, second := strings.Repeat("1", 32), strings.Repeat("2", 32)
		keys, err := passcode.ParseNumberKeys(first + " " + second)
		if err != nil {
			t.Fatal(err)
		}
		by := func(keys passcode.NumberKeys, number string) func(*event.Data) {
			return func(d *event.Data) { d.Person = &event.Bearer{ID: keys.Pseudonym(number), By: "desk"} }
		}
		if err := s.AddFirstSiteKeys(t.Context(), []SiteKey{{Site: "plant", Kind: NumberKey, Secret: []byte(first), MadeAt: begin}}); err != nil {
			t.Fatal(err)
		}
		put := func(at time.Time, rows ...Listed) Upload { return apply(t, s, "", false, keys.First, at, rows...) }
		listedAt := begin.Add(-24 * time.Hour)
		put(listedAt, Listed{Number: "A1", Shift: "1"}, Listed{Number: "A2", Shift: "1"}, Listed{Number: "A3", Shift: "1"})
		people, err := s.People(t.Context(), PeopleFilter{Site: "plant"}, now, -1)
		if err != nil {
			t.Fatal(err)
		}
		one, gone := people[0], people[2]
		// Somebody is forgotten before the change, and somebody with what comes by both keys after it.
		forget := func(p Person) {
			t.Helper()
			line, sum, err := s.PersonRecord(t.Context(), "plant", p.ID, now)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.ForgetPerson(t.Context(), "plant", p.ID, sum, "asked to", Author{Account: "hr"}, now); err != nil {
				t.Fatal(err)
			}
			if f, err := s.ForgottenAs(t.Context(), p.ID); err != nil || f.SHA256 != hashOf(string(line)) {
				t.Errorf("the deletion is not proven: %+v, %v", f, err)
			}
		}
		forget(gone)
		before := begin.Add(-30 * time.Minute)
		say(t, s, screened(t, north, before, event.Inconclusive, by(keys[:1], "A1")))
		_, exported, err := s.PersonRecord(t.Context(), "plant", one.ID, now)
		if err != nil {
			t.Fatal(err)
		}

		kept, err := s.SiteKeys(t.Context(), "plant")
		if err != nil || len(kept) != 1 {
			t.Fatal(kept, err)
		}
		if err := s.ChangeSiteKey(t.Context(), kept[0], []byte(first+" "+second), nil, Author{Account: "hr"}, now); err != nil {
			t.Fatal(err)
		}
		if err := s.ChangeSiteKey(t.Context(), kept[0], []byte(first+" "+strings.Repeat("3", 32)), nil, Author{Account: "hr"}, now); !errors.Is(err, ErrChanged) {
			t.Errorf("two changes of one key: %v", err)
		}
		if lines, err := s.Audit(t.Context(), AuditFilter{What: MadeKey, Account: "hr"}, 10); err != nil || len(lines) != 1 || lines[0].Detail != "number" || lines[0].Scope.Site != "plant" {
			t.Errorf("%+v, %v", lines, err)
		}
		if _, sum, err := s.PersonRecord(t.Context(), "plant", one.ID, now); err != nil || sum != exported {
			t.Errorf("what is kept of somebody is another after the change, %v", err)
		}

		say(t, s, screened(t, south, before.Add(time.Minute), event.Pass, by(keys, "A1")))
		say(t, s, screened(t, north, before.Add(2*time.Minute), event.Pass, by(keys[:1], "A2")))
		say(t, s, screened(t, north, before.Add(3*time.Minute), event.Pass, by(keys[:1], "A3")))
		say(t, s, screened(t, south, before.Add(4*time.Minute), event.Pass, by(keys, "A3")))
		for i, state := range []string{Online, Offline} { // the last shift of the day begins with gates, and the next one without
			if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: state}, begin.Add(time.Duration(17*i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		shifts, err := s.Shifts(t.Context(), "plant", day, day+1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Coverage(t.Context(), shifts[0], now)
		if err != nil || len(c.People) != 2 || c.Screened() != 2 || c.Strangers != 0 {
			t.Errorf("%+v, %d strangers, %v", c.People, c.Strangers, err)
		}
		if len(c.Twice) != 1 || c.Twice[0].Person.Number != "A1" || c.Twice[0].Second.Gate != "south" {
			t.Errorf("who came by both keys within a minute: %+v", c.Twice)
		}
		known := func(p Person, want int) {
			t.Helper()
			if links, err := s.Passages(t.Context(), p, 10); err != nil || len(links) != want {
				t.Errorf("%s: %+v, %v, want %d", p.Number, links, err, want)
			}
		}
		known(one, 2)
		known(gone, 0)
		if newest, err := s.Passages(t.Context(), one, 1); err != nil || len(newest) != 1 || newest[0].Gate != "south" {
			t.Errorf("%+v, %v", newest, err)
		}

		hold, err := s.AddHold(t.Context(), Hold{Gate: south, Reason: "court"}, Author{}, now)
		if err != nil {
			t.Fatal(err)
		}
		_, sum, err := s.PersonRecord(t.Context(), "plant", one.ID, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ForgetPerson(t.Context(), "plant", one.ID, sum, "asked to", Author{Account: "hr"}, now); !errors.Is(err, ErrHeld) {
			t.Errorf("what a hold keeps by the new key is deleted: %v", err)
		}
		if err := s.EndHold(t.Context(), hold, "over", Author{}, now); err != nil {
			t.Fatal(err)
		}
		forget(one)
		late := func() {
			t.Helper()
			for _, number := range []string{"A1", "A3"} {
				for n := range keys {
					say(t, s, screened(t, north, now.Add(-time.Second), event.Pass, by(keys[:n+1], number)))
				}
			}
			var left int
			if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM bearers WHERE person <> $1", keys.First("A2")).Scan(&left); err != nil || left != 0 {
				t.Errorf("of people who are forgotten %d events are known, %v", left, err)
			}
		}
		late()
		clear(s.forgotten)
		clear(s.keys)
		if err := s.readPeople(t.Context()); err != nil { // as the next process does
			t.Fatal(err)
		}
		late()

		// Put on the list again, they are known by both from then on, and undone by neither.
		again := put(now.Add(time.Second), Listed{Number: "A1"})
		for n := range keys {
			say(t, s, screened(t, north, now.Add(2*time.Second), event.Pass, by(keys[:n+1], "A1")))
		}
		known(one, 2)
		if err := s.UndoUpload(t.Context(), "plant", again.ID, Author{}, now.Add(3*time.Second)); err != nil {
			t.Fatal(err)
		}
		known(one, 0)
		late()
	})
}

func TestRetiringPeople(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		now := time.Now().Truncate(time.Millisecond)
		old := now.AddDate(0, 0, -s.cfg.KeepPeopleDays-1)
		onList(t, s, "", true, old, Listed{Number: "A1"}, Listed{Number: "A2"})
		passed := screened(t, north, old, event.Pass, of("A1"))
		say(t, s, passed)
		onList(t, s, "", true, old.Add(time.Second), Listed{Number: "A2"})
		if _, err := s.Retire(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := listed(t, s, PeopleFilter{Left: true}) + listed(t, s, PeopleFilter{}); got != "A2 name of A2" {
			t.Errorf("the list is %s", got)
		}
		if _, ok, err := s.BearerOf(t.Context(), passed); ok || err != nil {
			t.Errorf("who was at a gate is known after its time, %v", err)
		}
		ahead := screened(t, north, now.AddDate(1, 0, 0), event.Pass, of("A2"))
		ahead.Received = old
		say(t, s, ahead)
		if _, err := s.Retire(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.BearerOf(t.Context(), ahead); ok || err != nil {
			t.Errorf("a gate whose clock is ahead has the console keep who it was for longer, %v", err)
		}
		late := screened(t, north, old.Add(time.Second), event.Pass, of("A2"))
		late.Received = now
		say(t, s, late)
		if _, ok, err := s.BearerOf(t.Context(), late); ok || err != nil {
			t.Errorf("what comes after its time is kept, %v", err)
		}
	})
}

func TestCoverage(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		day := DayOf(time.Now().UTC()) - 1
		begin := day.Begin(time.UTC).Add(6 * time.Hour)
		by, listedAt := Author{Account: "hr"}, begin.Add(-24*time.Hour)
		acme, err := s.AskCompany(t.Context(), Company{Site: "plant", Name: "Acme", Short: "acme"}, by, listedAt)
		if err != nil {
			t.Fatal(err)
		}
		onList(t, s, "", true, listedAt, Listed{Number: "A1", Shift: "1"}, Listed{Number: "A2", Shift: "1"}, Listed{Number: "A3", Shift: "1"}, Listed{Number: "A4", Shift: "2"}, Listed{Number: "A5"}, Listed{Number: "A6", Shift: "1"})
		onList(t, s, acme, true, listedAt, Listed{Number: "C1", Shift: "1"})
		before := begin.Add(-30 * time.Minute)
		for _, e := range []Event{
			screened(t, north, before, event.Pass, of("A1")),
			screened(t, north, before.Add(time.Minute), event.Alert, of("A2")),
			screened(t, north, before.Add(2*time.Minute), event.Inconclusive, of("A3")),
			screened(t, north, before.Add(3*time.Minute), event.Pass, of("A4")),
			screened(t, north, before.Add(4*time.Minute), event.Pass, of("A5")),
			screened(t, north, before.Add(5*time.Minute), event.Pass, of("C1")),
			screened(t, north, before.Add(5*time.Minute+30*time.Second), event.Pass, of("unknown")),
			screened(t, north, before.Add(6*time.Minute), event.Pass, func(d *event.Data) { d.Unpaired = event.TwoFaces }),
			screened(t, south, before.Add(7*time.Minute), event.Pass, of("A1")), // five minutes after the first gate
			screened(t, mqtt.Gate{Site: "plant", Name: "dock"}, before, event.Pass, nil),
			screened(t, north, begin.Add(-3*time.Hour), event.Pass, of("A6")), // of the shift before
			screened(t, north, begin.Add(9*time.Hour), event.Pass, nil),       // of the next one, in which nothing is read
		} {
			say(t, s, e)
		}
		for i, state := range []string{Online, Offline} { // the last shift of the day begins with gates, and the next one without
			if err := s.SetStatus(t.Context(), north, mqtt.StatusMessage{State: state}, begin.Add(time.Duration(17*i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		shifts, err := s.Shifts(t.Context(), "plant", day, day+1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Coverage(t.Context(), shifts[0], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.People) != 4 || c.Screened() != 2 || c.Count(NotMeasured) != 1 || c.Count(NotSeen) != 1 || c.Count(HadAlert) != 1 {
			t.Errorf("%+v", c.People)
		}
		if len(c.Unassigned) != 1 || c.Elsewhere != 1 || c.Strangers != 2 { // C1, whose company nobody has approved, and one unknown
			t.Errorf("%d without a shift, %d of another, %d strangers", len(c.Unassigned), c.Elsewhere, c.Strangers)
		}
		if len(c.Gates) != 2 || c.Gates[0].Gate != "north" || c.Gates[0].Visits != 8 || c.Gates[0].Paired != 7 || c.Gates[0].Reasons[event.TwoFaces] != 1 {
			t.Errorf("%+v", c.Gates)
		}
		if c.Unknown {
			t.Error("it is not known who came, though gates told")
		}
		for name, test := range map[string]struct {
			shift   int
			now     time.Time
			unknown bool
		}{
			"no gate tells who came": {1, time.Now(), true},
			"nobody came":            {2, begin.Add(24 * time.Hour), false},
			"all gates were off":     {3, begin.Add(32 * time.Hour), true},
			"it is kept no longer":   {0, begin.AddDate(0, 0, s.cfg.KeepPeopleDays), true},
		} {
			if c, err := s.Coverage(t.Context(), shifts[test.shift], test.now); err != nil || c.Unknown != test.unknown {
				t.Errorf("%s: unknown %t, %v", name, c.Unknown, err)
			}
		}
		if len(c.Twice) != 1 || c.Twice[0].Person.Number != "A1" || c.Twice[0].Second.Gate != "south" {
			t.Errorf("%+v", c.Twice)
		}
		if err := s.DecideCompany(t.Context(), Company{ID: acme, Site: "plant", State: Approved, From: day - 1, Until: day}, by, time.Now()); err != nil {
			t.Fatal(err)
		}
		if c, err = s.Coverage(t.Context(), shifts[0], time.Now()); err != nil || len(c.People) != 5 || c.Screened() != 3 || c.Strangers != 1 {
			t.Errorf("%d people, %d screened, %d strangers, %v", len(c.People), c.Screened(), c.Strangers, err)
		}
	})
}
