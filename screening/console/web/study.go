package web

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	"thermogate/screening/study"
)

const (
	studyDays  = 90  // that are studied unless somebody asks for others
	mostDays   = 750 // that may be asked for
	mostPairs  = 800 // of people with an alert, and as many of others, that are studied: the newest
	leastPairs = 3   // that anything can be said of
	fewPairs   = 100 // below which that is little
	// leastPasses is how many of those who passed have to be read before anything is said of everybody.
	leastPasses = 30
	levelDays   = 7 // of which all estimates are looked at
)

// studyQuery is what is studied, as it stands in the address.
type studyQuery struct{ Gate, From, To, Place, Fever string }

// studyPage is what second readings say of the gates of a site.
type studyPage struct {
	Query  studyQuery
	Wrong  bool // something in it can't be read
	Gates  []mqtt.Gate
	Sites  []string
	Of     mqtt.Gate // what is studied: a site, or a gate of it
	Zone   string
	Fever  float64
	Days   int // with data or without
	Places []placeCount
	Groups []readGroup
	Left   int // readings of whom there is no skin temperature to compare with
	Absurd int // readings or skin temperatures that no person has
	study.Verdicts
	Study     *study.Study // nil unless enough of those who passed were read
	Failed    bool         // though there are enough, nothing can be made of them
	Pairs     int
	More      bool // than are studied
	ROC       rocChart
	Agreement agreementChart
	Levels    []levelRow
	LevelDays int
	Settings  settingsUsed
	Limit     float64 // threshold in use
	Download  string  // address of the pairs
}

// placeCount is how many readings there are of a place.
type placeCount struct {
	Place string
	Pairs int
}

// readGroup are people with an outcome, of whom some were read.
type readGroup struct {
	Outcome       event.Outcome
	People        int64
	Read, Febrile int
	Share         *study.Rate
}

// levelRow is what an alarm from a body estimate on comes to.
type levelRow struct {
	Celsius        float64
	ADay           float64 // events that reach it
	Febrile, False int     // of those who were read
	InUse          bool
}

// settingsUsed is where the settings come from that pairs are judged by.
type settingsUsed struct {
	Gate   string   // whose they are; empty for those that the program comes with
	Alike  int      // more gates that have the same
	Differ []string // gates with others
}

func showStudy(v *visit) {
	values := v.r.URL.Query()
	get := func(key string) string { return strings.TrimSpace(values.Get(key)) }
	page := studyPage{Query: studyQuery{get("gate"), get("from"), get("to"), get("place"), get("fever")}}
	gates, err := v.gatesInScope()
	if err != nil {
		v.fail(err)
		return
	}
	page.Gates = gates
	for _, g := range gates {
		if !slices.Contains(page.Sites, g.Site) {
			page.Sites = append(page.Sites, g.Site)
		}
	}
	page.Of = gateOf(page.Query.Gate)
	if page.Of.Site == "" && len(page.Sites) > 0 {
		page.Of = mqtt.Gate{Site: page.Sites[0], Name: v.account.Scope.Name}
		page.Query.Gate = strings.TrimSuffix(page.Of.Site+"/"+page.Of.Name, "/")
	}
	known := slices.ContainsFunc(gates, func(g mqtt.Gate) bool {
		return g.Site == page.Of.Site && (page.Of.Name == "" || g.Name == page.Of.Name)
	})
	if len(gates) > 0 && (!known || v.account.Scope.Name != "" && page.Of.Name != v.account.Scope.Name) {
		v.missing()
		return
	}
	from, to, ok := page.choose(v)
	if page.Wrong = !ok; ok && len(gates) > 0 {
		if err := page.read(v, from, to); err != nil {
			v.fail(err)
			return
		}
	}
	v.show("study", page)
}

// choose takes the days and the limit that are asked for, or the usual ones.
func (p *studyPage) choose(v *visit) (from, to store.Day, ok bool) {
	zone := v.store.Zone(p.Of.Site)
	p.Zone, p.Fever, ok = zone.String(), v.cfg.FeverCelsius, true
	to = store.DayOf(v.now.In(zone))
	from = to - studyDays + 1
	for _, one := range []struct {
		text *string
		to   *store.Day
	}{{&p.Query.From, &from}, {&p.Query.To, &to}} {
		if *one.text != "" {
			day, err := time.Parse(time.DateOnly, *one.text)
			ok = ok && err == nil
			*one.to = store.DayOf(day)
		}
		*one.text = one.to.Date().Format(time.DateOnly)
	}
	if p.Query.Fever != "" {
		fever, fine := decimal(p.Query.Fever)
		ok = ok && fine && fever >= 36 && fever <= 40
		p.Fever = fever
	}
	p.Query.Fever = fmt.Sprintf("%.1f", p.Fever)
	return from, to, ok && from <= to && to-from < mostDays && (p.Query.Place == "" || slices.Contains(places, p.Query.Place))
}

func (p *studyPage) read(v *visit, from, to store.Day) error {
	zone := v.store.Zone(p.Of.Site)
	filter := store.Filter{Site: p.Of.Site, Gate: p.Of.Name, From: from.Begin(zone), To: (to + 1).Begin(zone)}
	read, err := v.store.Pairs(v.ctx(), filter, "", mostPairs)
	if err != nil {
		return err
	}
	people, days, err := v.store.Outcomes(v.ctx(), p.Of.Site, p.Of.Name, from, to)
	if err != nil {
		return err
	}
	settings, err := v.store.SettingsInForce(v.ctx(), p.Of.Site)
	if err != nil {
		return err
	}
	config := p.Settings.configOf(settings, p.Of.Name)
	p.Limit = config.ThresholdCelsius
	kinds := map[bool]int{}
	for _, one := range read {
		kinds[one.Screening.Data.Outcome == event.Alert]++
	}
	p.More = max(kinds[true], kinds[false]) >= mostPairs // so there may be
	pairs := p.take(read)
	const form = "2006-01-02T15:04"
	p.Download = "/study/pairs.csv?" + url.Values{
		"gate": {p.Query.Gate}, "from": {filter.From.Format(form)}, "to": {filter.To.Format(form)}, "place": {p.Query.Place},
	}.Encode()
	options := study.Options{Config: config, FebrileCelsius: p.Fever, People: map[event.Outcome]int{}}
	var all int64
	for outcome, n := range people {
		options.People[outcome] = int(n)
		all += n
	}
	options.PeoplePerDay = float64(all) / float64(max(1, days))
	p.Days = days
	p.judge(pairs, options, people)
	return p.weigh(v, filter, pairs, config)
}

// take makes pairs of the readings of the place that is asked for, or that has the most.
func (p *studyPage) take(read []store.Pair) []study.Pair {
	for _, place := range places {
		n := 0
		for _, one := range read {
			if one.Reading.Place == place {
				n++
			}
		}
		p.Places = append(p.Places, placeCount{place, n})
	}
	if p.Query.Place == "" {
		p.Query.Place = slices.MaxFunc(p.Places, func(a, b placeCount) int { return a.Pairs - b.Pairs }).Place
	}
	var pairs []study.Pair
	for _, one := range read {
		if one.Reading.Place != p.Query.Place {
			continue
		}
		pair, ok := pairOf(one)
		switch data := one.Screening.Data; {
		case ok:
			pairs = append(pairs, pair)
		case data.SkinCelsius == nil || data.SkinSite == "":
			p.Left++
		default:
			p.Absurd++
		}
	}
	p.Pairs = len(pairs)
	return pairs
}

// pairOf is false for what can't be studied. A gate has an offset of its own, as a camera has: it stands for its camera.
func pairOf(one store.Pair) (study.Pair, bool) {
	e := one.Screening
	data := e.Data
	number := func(value *float64) float64 {
		if value == nil {
			return math.NaN()
		}
		return *value
	}
	pair := study.Pair{
		Person: e.Visit, Camera: e.Gate.Name, Site: data.SkinSite, SkinCelsius: number(data.SkinCelsius), OralCelsius: event.Hundredths(one.Reading.Celsius),
		FaceCelsius: number(data.FaceCelsius), AmbientCelsius: number(data.AmbientCelsius), At: e.Time, Outcome: data.Outcome,
	}
	if data.BaselineCelsius != nil {
		pair.BaselineCelsius = *data.BaselineCelsius
	}
	return pair, pair.Valid()
}

// judge works out what the pairs say.
func (p *studyPage) judge(pairs []study.Pair, o study.Options, people map[event.Outcome]int64) {
	passes := 0
	for _, outcome := range []event.Outcome{event.Alert, event.Pass, event.Inconclusive} {
		group := readGroup{Outcome: outcome, People: people[outcome]}
		for _, pair := range pairs {
			if pair.Outcome == outcome {
				group.Read++
				if pair.OralCelsius >= p.Fever {
					group.Febrile++
				}
			}
		}
		group.Share = study.RateOf(group.Febrile, group.Read)
		if outcome == event.Pass {
			passes = group.Read
		}
		p.Groups = append(p.Groups, group)
	}
	p.Verdicts = o.Verdicts(pairs)
	if passes < leastPasses {
		p.Sensitivity, p.Specificity = nil, nil
		p.Agreement = agreementOf(study.Points(pairs, o.Config), nil)
		return
	}
	found, err := study.Evaluate(pairs, nil, o)
	if err != nil {
		p.Failed = true
		p.Agreement = agreementOf(study.Points(pairs, o.Config), nil)
		return
	}
	p.Study = &found
	p.ROC = rocOf(found)
	p.Agreement = agreementOf(found.Agreement, found.Offsets)
}

// weigh counts what alarms at other levels come to, over all estimates of the last days.
func (p *studyPage) weigh(v *visit, filter store.Filter, pairs []study.Pair, config policy.Config) error {
	if end := v.now; filter.To.After(end) {
		filter.To = end
	}
	if begin := filter.To.AddDate(0, 0, -levelDays); begin.After(filter.From) {
		filter.From = begin
	}
	p.LevelDays = max(1, int(math.Round(filter.To.Sub(filter.From).Hours()/24)))
	var levels []float64
	for step := -3; step <= 5; step++ {
		levels = append(levels, event.Hundredths(p.Limit+float64(step)/10))
	}
	reach, measured, err := v.store.Reaching(v.ctx(), filter, levels)
	if err != nil || measured == 0 {
		return err
	}
	for i, level := range levels {
		row := levelRow{Celsius: level, ADay: float64(reach[i]) / float64(p.LevelDays), InUse: level == event.Hundredths(p.Limit)}
		for _, pair := range pairs {
			if pair.BodyCelsius(config) < level {
				continue
			}
			if pair.OralCelsius >= p.Fever {
				row.Febrile++
			} else {
				row.False++
			}
		}
		p.Levels = append(p.Levels, row)
	}
	return nil
}

// The shape of a key and of a plain value, so that nothing else is taken for a configuration.
var (
	policyKey   = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	policyValue = regexp.MustCompile(`^[A-Za-z0-9.+-]*$`)
)

// configOf is the policy that a gate tells, or that most gates of a site do, and who has another one.
func (u *settingsUsed) configOf(settings []store.Setting, gate string) policy.Config {
	byGate := map[string]map[string]string{}
	for _, one := range settings {
		key, is := strings.CutPrefix(one.Name, "policy.")
		if !is || !one.Told || one.Value == "" || !policyKey.MatchString(key) || !policyValue.MatchString(one.Value) || gate != "" && one.Gate.Name != gate {
			continue
		}
		if byGate[one.Gate.Name] == nil {
			byGate[one.Gate.Name] = map[string]string{}
		}
		byGate[one.Gate.Name][key] = one.Value
	}
	config := policy.DefaultConfig()
	names := slices.Sorted(maps.Keys(byGate))
	alike := func(name string) (n int) {
		for _, other := range names {
			if maps.Equal(byGate[other], byGate[name]) {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(names, func(a, b string) int { return alike(b) - alike(a) })
	for _, name := range names {
		told := policy.DefaultConfig()
		switch {
		case yaml.Unmarshal(nested(byGate[name]), &told) != nil || told.Validate() != nil:
		case u.Gate == "":
			config, u.Gate = told, name
		case maps.Equal(byGate[u.Gate], byGate[name]):
			u.Alike++
		default:
			u.Differ = append(u.Differ, name)
		}
	}
	config.Referenced = true
	return config
}

// nested puts "a.b: 1" into the lines of a file.
func nested(values map[string]string) []byte {
	var b strings.Builder
	var open []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		parts := strings.Split(key, ".")
		same := 0
		for same < len(parts)-1 && same < len(open) && parts[same] == open[same] {
			same++
		}
		for depth := same; depth < len(parts); depth++ {
			fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", depth), parts[depth])
			if depth == len(parts)-1 {
				b.WriteString(" " + values[key])
			}
			b.WriteByte('\n')
		}
		open = parts[:len(parts)-1]
	}
	return []byte(b.String())
}

// Chosen tells whether a gate, or a site, is what is studied.
func (p studyPage) Chosen(site, gate string) bool { return p.Of == mqtt.Gate{Site: site, Name: gate} }

// Few tells whether there is too little to trust.
func (p studyPage) Few() bool { return p.Pairs < fewPairs }

// None tells whether there is nothing to say.
func (p studyPage) None() bool { return p.Pairs < leastPairs }

// PassesNeeded is how many more of those who passed have to be read before anything is said of everybody.
func (p studyPage) PassesNeeded() int { return leastPasses - p.Groups[1].Read }

// Better tells whether the fused policy is worth having, as far as the pairs tell: the one that finds more of the febrile and
// of the others together, beyond doubt.
func (p studyPage) Better() bool {
	return p.Study != nil && p.Study.Fused != nil && p.Study.Fused.Better
}

// Interval is a share and its interval, in per cent.
func (t tongue) Interval(i study.Interval) string {
	return fmt.Sprintf(t.Say("%s %%（%s–%s %%）", "%s %% (%s–%s %%)"), percent(i.Value), percent(i.Low), percent(i.High))
}

// percent has a decimal where a whole number would hide what there is.
func percent(share float64) string {
	if hundred := 100 * share; hundred < 9.95 && hundred > 0.05 || hundred > 90.05 && hundred < 99.95 {
		return fmt.Sprintf("%.1f", hundred)
	}
	return fmt.Sprintf("%.0f", 100*share)
}

// Figure is a number and its interval.
func (t tongue) Figure(i study.Interval, digits int) string {
	return fmt.Sprintf(t.Say("%.*f（%.*f 到 %.*f）", "%.*f (%.*f to %.*f)"), digits, i.Value, digits, i.Low, digits, i.High)
}

// policyTable is a table of what policies reach.
type policyTable struct {
	Policies []study.PolicyStudy
	Title    string
}

// Table is a table for a part of the page.
func (studyPage) Table(policies []study.PolicyStudy, title string) policyTable {
	return policyTable{policies, title}
}
