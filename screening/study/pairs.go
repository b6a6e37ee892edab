package study

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/event"
)

// Pair is one person's skin temperature at the gate and oral temperature by a clinical thermometer soon after.
type Pair struct {
	Line           int    // in the file, from 1
	Person         string // whoever has several pairs has them under one name; empty is somebody of their own
	Camera         string
	Site           event.Site
	SkinCelsius    float64
	OralCelsius    float64
	FaceCelsius    float64   // the face's warmest spot; NaN where unknown
	AmbientCelsius float64   // NaN where unknown
	At             time.Time // zero where unknown or not readable
	// What only a console knows: the outcome that the gate gave, and what it took for usual then, as inner canthi; empty and
	// zero where unknown.
	Outcome         event.Outcome
	BaselineCelsius float64
}

// LeftOut is a reason for which rows of a file are not used, and their lines.
type LeftOut struct {
	Reason string `json:"reason"`
	Lines  []int  `json:"lines"`
}

// AllRounds of a clinical file, each as a camera of its own.
const AllRounds = 0

// Columns chooses what is read of a file.
type Columns struct {
	Round int        // of a clinical file, 1 to 4, or AllRounds
	Site  event.Site // inner-canthus (or canthi), forehead or face; empty means all that a plain file has
	// Named are columns by their own names, instead of the usual ones.
	Named map[Input]string
}

// Input is what a column holds.
type Input string

// The inputs.
const (
	Skin    Input = "skin"
	Oral    Input = "oral"
	Face    Input = "face"
	Ambient Input = "ambient"
	Site    Input = "site"
	Camera  Input = "camera"
	Person  Input = "person"
	Time    Input = "time"
)

// usual are the names that a plain file may give its columns, in any case.
var usual = []struct {
	input Input
	names []string
}{
	{Skin, []string{"skin_celsius", "skin"}},
	{Oral, []string{"oral_celsius", "oral"}},
	{Face, []string{"face_celsius", "face"}},
	{Ambient, []string{"ambient_celsius", "ambient"}},
	{Site, []string{"skin_site", "site"}},
	{Camera, []string{"camera"}},
	{Person, []string{"person"}},
	{Time, []string{"time"}},
}

// Name takes "input=column" or, for skin, the column alone.
func (c *Columns) Name(text string) error {
	input, column := Skin, text
	if before, after, ok := strings.Cut(text, "="); ok && isInput(Input(before)) {
		input, column = Input(before), after
	}
	if strings.TrimSpace(column) == "" {
		return fmt.Errorf("column %q: name one, such as canthi4Max1 or face=T_Max1; inputs are %s", text, inputs())
	}
	if c.Named == nil {
		c.Named = map[Input]string{}
	}
	c.Named[input] = column
	return nil
}

func isInput(input Input) bool {
	for _, u := range usual {
		if u.input == input {
			return true
		}
	}
	return false
}

func inputs() string {
	var all []string
	for _, u := range usual {
		all = append(all, string(u.input))
	}
	return strings.Join(all, ", ")
}

// Validate reports a choice that no file has.
func (c Columns) Validate() error {
	if c.Site != "" && c.Site != "canthi" && !isSite(c.Site) {
		return fmt.Errorf("site %q is none of %s, %s and %s", c.Site, event.InnerCanthus, event.Forehead, event.WholeFace)
	}
	if c.Round < AllRounds || c.Round > rounds {
		return fmt.Errorf("round %d: a clinical file has rounds 1 to %d", c.Round, rounds)
	}
	return nil
}

// The clinical layout is that of "Facial and oral temperature data from a large set of human subject volunteers" (Wang
// et al. 2023, PhysioNet, doi 10.13026/3bhc-9065): two lines of titles, then the names, then a line a person, with one
// skin column a site and round.
const (
	clinicalOral = "aveOralM"
	rounds       = 4
)

func clinicalNames(site event.Site, round int) map[Input]string {
	skin := map[event.Site]string{event.Forehead: "T_FH_Max", event.WholeFace: "T_Max"}[site]
	if skin == "" {
		skin = "canthiMax"
	}
	return map[Input]string{
		Skin: fmt.Sprint(skin, round), Face: fmt.Sprint("T_Max", round),
		Oral: clinicalOral, Ambient: "T_atm", Person: "SubjectID", Time: "Time",
	}
}

// Limits of what is a temperature of a living person rather than a slip of the pen, in °C.
const (
	leastSkin, mostSkin = 25, 45
	leastOral, mostOral = 33, 43
)

// ReadPairs reads a CSV file: either the clinical layout, or a plain one whose first line names its columns skin, oral
// and perhaps site, ambient, camera and time. Rows without both temperatures are left out, with the reason. An error
// says which line or column it is about.
func ReadPairs(r io.Reader, choose Columns) ([]Pair, []LeftOut, error) {
	if err := choose.Validate(); err != nil {
		return nil, nil, err
	}
	if choose.Site == "canthi" {
		choose.Site = event.InnerCanthus
	}
	t, err := openTable(r)
	if err != nil {
		return nil, nil, err
	}
	layouts, err := t.layouts(choose)
	if err != nil {
		return nil, nil, err
	}
	var pairs []Pair
	var leftOut []LeftOut
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return pairs, leftOut, nil
		} else if err != nil {
			return nil, nil, err
		}
		for _, layout := range layouts {
			pair, reason := layout.pair(row)
			if reason == "" && choose.Site != "" && pair.Site != choose.Site {
				reason = "site is not " + string(choose.Site)
			}
			if reason == "" {
				pairs = append(pairs, pair)
				continue
			}
			i := slices.IndexFunc(leftOut, func(l LeftOut) bool { return l.Reason == reason })
			if i < 0 {
				i = len(leftOut)
				leftOut = append(leftOut, LeftOut{Reason: reason})
			}
			leftOut[i].Lines = append(leftOut[i].Lines, row.line)
		}
	}
}

type row struct {
	line  int
	cells []string
}

func (r row) cell(column int) string {
	if column < 0 || column >= len(r.cells) {
		return ""
	}
	return strings.TrimSpace(r.cells[column])
}

// What a file of pairs may hold.
const (
	maxBytes   = 8 << 20
	maxColumns = 1000
	maxRows    = 100_000
)

// table is a CSV file from the line on that names the columns.
type table struct {
	names    row
	clinical bool
	ahead    []row // read already
	read     int
	reader   *csv.Reader
}

func openTable(r io.Reader) (*table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("the file has more than %d bytes; split it", maxBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	comma := separator(data)
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if columns := 1 + bytes.Count(text, []byte(string(comma))); columns > maxColumns {
			return nil, fmt.Errorf("line %d has %d columns; at most %d are read", line, columns, maxColumns)
		}
	}
	t := &table{reader: csv.NewReader(bytes.NewReader(data))}
	t.reader.FieldsPerRecord = -1
	t.reader.Comma = comma
	return t, t.findNames()
}

// findNames reads up to the line that names the columns.
func (t *table) findNames() error {
	var ahead []row
	names := 0
	for i := range 3 {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		ahead = append(ahead, row)
		if slices.Contains(row.cells, clinicalOral) {
			names, t.clinical = i, true
		}
	}
	if len(ahead) == 0 {
		return errors.New("the file is empty")
	}
	t.names, t.ahead = ahead[names], ahead[names+1:]
	return nil
}

// next returns the next line, and io.EOF after the last.
func (t *table) next() (row, error) {
	if len(t.ahead) > 0 {
		first := t.ahead[0]
		t.ahead = t.ahead[1:]
		return first, nil
	}
	cells, err := t.reader.Read()
	if errors.Is(err, io.EOF) {
		return row{}, io.EOF
	} else if err != nil {
		return row{}, fmt.Errorf("reading CSV: %w", err)
	}
	line, _ := t.reader.FieldPos(0)
	if t.read++; t.read > maxRows {
		return row{}, fmt.Errorf("line %d: more than %d lines of pairs; split the file", line, maxRows)
	}
	return row{line, cells}, nil
}

// separator is the first line's most frequent one of those that spreadsheets write.
func separator(data []byte) rune {
	first, _, _ := bytes.Cut(data[:min(len(data), 4096)], []byte("\n"))
	best, most := ',', bytes.Count(first, []byte{','})
	for _, c := range []byte{';', '\t'} {
		if n := bytes.Count(first, []byte{c}); n > most {
			best, most = rune(c), n
		}
	}
	return best
}

// layout is where in a row things are; -1 is nowhere.
type layout struct {
	columns    map[Input]int
	date       int
	siteName   event.Site
	cameraName string // where there is no column of it
}

// layouts is one, or one a round.
func (t *table) layouts(choose Columns) ([]layout, error) {
	if !t.clinical || choose.Round != AllRounds || choose.Named[Skin] != "" {
		l, err := t.layout(choose)
		return []layout{l}, err
	}
	if choose.Named[Face] != "" {
		return nil, errors.New("a face column is of one round, and so needs a skin column to go with it or a round")
	}
	var all []layout
	for choose.Round = 1; choose.Round <= rounds; choose.Round++ {
		l, err := t.layout(choose)
		if err != nil {
			return nil, err
		}
		l.cameraName = fmt.Sprint("round ", choose.Round)
		all = append(all, l)
	}
	return all, nil
}

func (t *table) layout(choose Columns) (layout, error) {
	l := layout{columns: map[Input]int{}, date: -1, siteName: choose.Site}
	if l.siteName == "" {
		l.siteName = event.InnerCanthus
	}
	clinical := clinicalNames(l.siteName, choose.roundOf(choose.Named[Skin]))
	for _, u := range usual {
		input, names := u.input, u.names
		switch {
		case choose.Named[input] != "":
			names = []string{choose.Named[input]}
		case t.clinical:
			names = []string{clinical[input]}
		}
		if l.columns[input] = t.column(names...); l.columns[input] >= 0 {
			continue
		}
		if input == Skin || input == Oral || choose.Named[input] != "" {
			return l, fmt.Errorf("line %d names no column %s; it names %s", t.names.line,
				strings.Join(names, " or "), abridged(t.names.cells))
		}
	}
	if t.clinical && choose.Named[Time] == "" {
		l.date = t.column("Date")
	}
	return l, nil
}

// roundOf is the round that a clinical skin column is of: what else is read has to be from the same picture.
func (c Columns) roundOf(skin string) int {
	if n := len(skin); n > 0 && skin[n-1] >= '1' && skin[n-1] <= '0'+rounds {
		return int(skin[n-1] - '0')
	}
	return c.Round
}

// column is the first of the names that the file has.
func (t *table) column(names ...string) int {
	for _, name := range names {
		for i := range t.names.cells {
			if name != "" && strings.EqualFold(t.names.cell(i), name) {
				return i
			}
		}
	}
	return -1
}

func isSite(s event.Site) bool {
	return s == event.InnerCanthus || s == event.Forehead || s == event.WholeFace
}

func abridged(cells []string) string {
	var named []string
	for _, c := range cells {
		c = strings.Join(strings.Fields(c), " ")
		if c == "" {
			continue
		}
		if len(named) == 12 {
			named = append(named, "…")
			break
		}
		named = append(named, fmt.Sprintf("%.40s", c))
	}
	return strings.Join(named, ", ")
}

func (l layout) pair(r row) (Pair, string) {
	cell := func(input Input) string { return r.cell(l.columns[input]) }
	p := Pair{Line: r.line, Person: cell(Person), Camera: cmp.Or(cell(Camera), l.cameraName), Site: l.siteName,
		FaceCelsius: math.NaN(), AmbientCelsius: math.NaN()}
	if l.cameraName != "" && p.Person == "" {
		p.Person = fmt.Sprint("line ", r.line)
	}
	if s := cell(Site); s != "" {
		p.Site = event.Site(s)
	}
	var reason string
	if p.SkinCelsius, reason = temperature("skin", cell(Skin), leastSkin, mostSkin); reason != "" {
		return p, reason
	}
	if p.OralCelsius, reason = temperature("oral", cell(Oral), leastOral, mostOral); reason != "" {
		return p, reason
	}
	if !isSite(p.Site) {
		return p, fmt.Sprintf("site is none of %s, %s and %s", event.InnerCanthus, event.Forehead, event.WholeFace)
	}
	for input, celsius := range map[Input]*float64{Face: &p.FaceCelsius, Ambient: &p.AmbientCelsius} {
		if value, err := strconv.ParseFloat(cell(input), 64); err == nil {
			*celsius = value
		}
	}
	p.At = parseTime(strings.TrimSpace(r.cell(l.date) + " " + cell(Time)))
	return p, ""
}

// temperature reads a cell, or says why it is none.
func temperature(of, cell string, least, most float64) (float64, string) {
	if cell == "" || strings.EqualFold(cell, "nan") {
		return 0, "no " + of + " temperature"
	}
	celsius, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return 0, of + " temperature is not a number"
	}
	if !(celsius >= least && celsius <= most) {
		return 0, fmt.Sprintf("%s temperature is outside %g to %g °C", of, least, most)
	}
	return celsius, ""
}

// parseTime reads the ways in which spreadsheets and the clinical files write a time; the zero time is none of them.
func parseTime(text string) time.Time {
	for _, form := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
		"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "06-01-02 15:04:05", "06-01-02 15:04", "06-01-02",
	} {
		if at, err := time.Parse(form, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
