package trial

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"thermogate/screening/event"
)

// Result is what became of the people of a scenario.
type Result struct {
	Scenario string `json:"scenario"`
	Counts
	// Extra counts events beyond the first of a visit that refer to no earlier one, and those on nobody.
	Extra int `json:"extra"`
	// WrongPersonFrames counts frames in which somebody is shown a verdict that was made on somebody else.
	WrongPersonFrames int `json:"wrong_person_frames"`
	// DoorOpenedForOther counts passes that held the door open while another person, with an alert or without a verdict,
	// stood nearer than the one who passed.
	DoorOpenedForOther int `json:"door_opened_for_other"`
	// Seconds is absent where nobody got a pass or an alert.
	Seconds *Seconds `json:"seconds,omitempty"`
	// Skin is absent where fewer than leastRead readings were published.
	Skin *Skin  `json:"skin,omitempty"`
	By   Groups `json:"by"`
}

// Groups counts people by what they wear. Somebody with glasses and a hat is in both; Bare is who wears none of these.
type Groups struct {
	Glasses Counts `json:"glasses"`
	Mask    Counts `json:"mask"`
	Hat     Counts `json:"hat"`
	Bare    Counts `json:"bare"`
}

// add counts one person in each of their groups.
func (g *Groups) add(s *subject) {
	for _, group := range []struct {
		worn   bool
		counts *Counts
	}{{s.glasses, &g.Glasses}, {s.mask, &g.Mask}, {s.hat, &g.Hat}, {!s.glasses && !s.mask && !s.hat, &g.Bare}} {
		if group.worn {
			group.counts.add(s)
		}
	}
}

// Counts of people. People are those who could have been measured: the febrile and the well.
type Counts struct {
	People  int      `json:"people"`
	Febrile Outcomes `json:"febrile"`
	Well    Outcomes `json:"well"`
	Passers Passers  `json:"passers"`
}

// Outcomes counts people by the outcome that holds for them in the end.
type Outcomes struct {
	People       int `json:"people"`
	Alert        int `json:"alert"`
	Inconclusive int `json:"inconclusive"`
	Pass         int `json:"pass"`
	None         int `json:"none"` // no event of any kind
}

// Passers counts the people who walked by, or stood without ever being measurable.
type Passers struct {
	People int `json:"people"`
	Event  int `json:"event"`
	None   int `json:"none"`
}

// Seconds from the first frame in which somebody could have been measured to their pass or alert, by nearest rank.
type Seconds struct {
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// add counts one person.
func (c *Counts) add(s *subject) {
	if !s.measurable {
		c.Passers.add(s.judged)
		return
	}
	c.People++
	if s.febrile {
		c.Febrile.add(s.outcome)
	} else {
		c.Well.add(s.outcome)
	}
}

func (p *Passers) add(judged bool) {
	p.People++
	if judged {
		p.Event++
	} else {
		p.None++
	}
}

func (o *Outcomes) add(outcome event.Outcome) {
	o.People++
	switch outcome {
	case event.Alert:
		o.Alert++
	case event.Inconclusive:
		o.Inconclusive++
	case event.Pass:
		o.Pass++
	default:
		o.None++
	}
}

// newSeconds sorts the times and takes their ranks; nil where there are none.
func newSeconds(times []time.Duration) *Seconds {
	if len(times) == 0 {
		return nil
	}
	slices.Sort(times)
	rank := func(share float64) float64 {
		i := int(math.Ceil(share*float64(len(times)))) - 1
		return math.Round(times[max(i, 0)].Seconds()*100) / 100
	}
	return &Seconds{Median: rank(0.5), P90: rank(0.9), P99: rank(0.99), Max: rank(1)}
}

// WriteTable shows results as people read them: a line a scenario, and below it one for each group with somebody in it.
func WriteTable(out io.Writer, results ...Result) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tfebrile\talert\tinconcl.\tpass\tnone\twell\tpass\tinconcl.\talert\tnone\tpassers\twith event\textra\twrong person\tdoor\tmedian s\tp99 s")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d", r.Scenario, r.Counts.columns(), r.Extra, r.WrongPersonFrames, r.DoorOpenedForOther)
		if s := r.Seconds; s != nil {
			fmt.Fprintf(table, "\t%.2f\t%.2f", s.Median, s.P99)
		} else {
			fmt.Fprint(table, "\t-\t-")
		}
		fmt.Fprintln(table)
		for _, g := range []struct {
			name   string
			counts *Counts
		}{{"glasses", &r.By.Glasses}, {"mask", &r.By.Mask}, {"hat", &r.By.Hat}} {
			if g.counts.People+g.counts.Passers.People > 0 {
				fmt.Fprintf(table, "  %s\t%s\t\t\t\t\t\n", g.name, g.counts.columns())
			}
		}
	}
	return table.Flush()
}

func (c *Counts) columns() string {
	f, w := &c.Febrile, &c.Well
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d",
		f.People, f.Alert, f.Inconclusive, f.Pass, f.None,
		w.People, w.Pass, w.Inconclusive, w.Alert, w.None,
		c.Passers.People, c.Passers.Event)
}
