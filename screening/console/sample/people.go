package sample

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Of the people of a plant whose gates read codes.
const (
	knownDays    = 3    // before the end, for which it is known who people were
	oneUnreadIn  = 30   // of whom that is not known
	oneAwayIn    = 40   // of those expected, who don't come
	oneNoCodeIn  = 20   // on the list
	oneOfOthers  = 6    // who are a company's
	codesGoodFor = 90   // days
	mostListed   = 5000 // people, whatever the gates have had
)

var (
	surnames   = []string{"张", "王", "李", "赵", "刘", "陈", "杨", "黄", "周", "吴"}
	givenNames = []string{"伟", "芳", "娜", "秀英", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "涛", "明", "超", "霞", "平", "刚"}
	workAreas  = []string{"总装 Assembly", "喷涂 Paint", "仓库 Stores", "质检 Quality"}
)

// madeUpName is nobody's, and says so.
func madeUpName(n int) string {
	return surnames[n%len(surnames)] + givenNames[n/len(surnames)%len(givenNames)] + "（编造）"
}

// FillPeople makes up who the people of the last days before a time were, at the gates of a site that Fill has filled: a list of them,
// two companies and one that waits for somebody's word, codes, and at each gate some who were not known.
func FillPeople(ctx context.Context, s *store.Store, site string, until time.Time, seed uint64) error {
	f := filler{store: s, site: site, until: until, office: passes.New(s), dice: rand.New(rand.NewPCG(seed, 19)), by: store.Author{Account: "sample"}}
	if err := f.fill(ctx); err != nil {
		return fmt.Errorf("making up the people of %s: %w", site, err)
	}
	return nil
}

type filler struct {
	store  *store.Store
	office *passes.Office
	site   string
	until  time.Time
	dice   *rand.Rand
	by     store.Author
}

func (f *filler) fill(ctx context.Context) error {
	day := store.DayOf(f.until.In(f.store.Zone(f.site)))
	shifts, err := f.store.Shifts(ctx, f.site, day-knownDays, day)
	if err != nil {
		return err
	}
	companies, err := f.companies(ctx, day)
	if err != nil {
		return err
	}
	came := map[string][][]store.Event{} // by shift, on each day
	most := map[string]int{}
	for _, shift := range shifts {
		events, err := f.store.Events(ctx, store.Filter{Site: f.site, From: shift.From.Add(-time.Hour), To: shift.To.Add(-time.Hour)}, mostListed)
		if err != nil {
			return err
		}
		came[shift.Name] = append(came[shift.Name], events)
		most[shift.Name] = max(most[shift.Name], len(events))
	}
	pseudonyms, err := f.list(ctx, most, companies)
	if err != nil {
		return err
	}
	for name, days := range came {
		for _, events := range days {
			if err := f.name(ctx, events, pseudonyms[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *filler) companies(ctx context.Context, day store.Day) (ids []string, err error) {
	for n, name := range []string{"示范精密机械（编造）", "Example Tooling (made up)", "示范物流（编造）"} {
		c := store.Company{Site: f.site, Name: name, From: day - 30, State: store.Approved}
		if c.ID, err = f.store.AskCompany(ctx, c, f.by, f.until); err != nil {
			return nil, err
		}
		if n == 2 { // which waits
			break
		}
		ids = append(ids, c.ID)
		if err := f.store.DecideCompany(ctx, c, f.by, f.until); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// list puts people on the list, some more for each shift than came, and returns their pseudonyms by shift.
func (f *filler) list(ctx context.Context, most map[string]int, companies []string) (pseudonyms map[string][]string, err error) {
	begin := f.until.AddDate(0, 0, -knownDays-1)
	var rows []store.Listed
	for _, shift := range []string{"1", "2", "3"} { // of the plan that nobody gave
		for range most[shift] + most[shift]/oneAwayIn {
			n := len(rows)
			row := store.Listed{Line: n + 2, Number: fmt.Sprintf("DEMO-%04d", n+1), Name: madeUpName(n), Department: workAreas[n%len(workAreas)], Shift: shift}
			if f.dice.IntN(oneOfOthers) == 0 {
				row.Company = companies[n%len(companies)]
			}
			rows = append(rows, row)
		}
	}
	pseudonym, err := f.office.Pseudonym(ctx, f.site)
	if err != nil {
		return nil, err
	}
	id, err := f.store.AddUpload(ctx, store.Upload{Site: f.site, By: f.by.Account, File: "made-up.xlsx", Whole: true}, rows, nil, begin)
	if err != nil {
		return nil, err
	}
	_, d, err := f.store.ShowUpload(ctx, f.site, id, begin)
	if err == nil {
		_, err = f.store.ApplyUpload(ctx, f.site, id, d.Sum(), pseudonym, f.by, begin)
	}
	if err != nil {
		return nil, err
	}
	people, err := f.store.People(ctx, store.PeopleFilter{Site: f.site}, f.until, -1)
	if err != nil {
		return nil, err
	}
	pseudonyms = map[string][]string{}
	var coded []store.Person
	for _, p := range people {
		pseudonyms[p.Shift] = append(pseudonyms[p.Shift], p.Pseudonym)
		if f.dice.IntN(oneNoCodeIn) > 0 {
			coded = append(coded, p)
		}
	}
	_, err = f.office.Issue(ctx, f.site, coded, begin, f.until.AddDate(0, 0, codesGoodFor), f.by, begin)
	return pseudonyms, err
}

// name has the gates say who came, one event after the other.
func (f *filler) name(ctx context.Context, events []store.Event, pseudonyms []string) error {
	who := f.dice.Perm(len(pseudonyms))
	var said []store.Event
	for i, e := range events {
		if e.Visit != e.ID {
			continue // the same person
		}
		data := event.Data{Outcome: event.Named, PersonOf: e.ID, Person: &event.Bearer{ID: pseudonyms[who[i%len(who)]], By: "desk"}}
		if f.dice.IntN(oneUnreadIn) == 0 {
			data.Person, data.Unpaired = nil, []event.Unpaired{event.NoRead, event.NoRead, event.TwoFaces, event.TwoReads}[f.dice.IntN(4)]
		}
		at := e.Time.Add(2 * time.Second)
		body, err := json.Marshal(event.Event{
			SpecVersion: "1.0", ID: event.NewIDs(diceReader{f.dice}).At(at), Source: event.Source(f.site, e.Gate.Name), Type: event.Named.EventType(),
			Time: at, DataContentType: "application/json", Data: data,
		})
		if err != nil {
			return err
		}
		one, err := store.NewEvent(mqtt.Gate{Site: f.site, Name: e.Gate.Name}, body, e.Received.Add(2*time.Second))
		if err != nil {
			return err
		}
		said = append(said, one)
	}
	_, err := f.store.Append(ctx, said)
	return err
}
