package study

import (
	"bytes"
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
	Line           int // in the file, from 1
	Camera         string
	Site           event.Site
	SkinCelsius    float64
	OralCelsius    float64
	AmbientCelsius float64   // NaN where unknown
	At             time.Time // zero where unknown or not readable
}

// LeftOut is a reason for which rows of a file are not used, and their lines.
type LeftOut struct {
	Reason string `json:"reason"`
	Lines  []int  `json:"lines"`
}

// Columns chooses what is read of a file.
type Columns struct {
	Round int        // of a clinical file, 1 to 4
	Site  event.Site // inner-canthus (or canthi), forehead or face; empty means all that a plain file has
	Skin  string     // a skin column by its own name, instead of Round and Site's
}

// Validate reports a choice that no file has.
func (c Columns) Validate() error {
	if c.Site != "" && c.Site != "canthi" && !isSite(c.Site) {
		return fmt.Errorf("site %q is none of %s, %s and %s", c.Site, event.InnerCanthus, event.Forehead, event.WholeFace)
	}
	if c.Skin == "" && (c.Round < 1 || c.Round > 4) {
		return fmt.Errorf("round %d: a clinical file has rounds 1 to 4", c.Round)
	}
	return nil
}

// The clinical layout is that of "Facial and oral temperature data from a large set of human subject volunteers" (Wang
// et al. 2023, PhysioNet, doi 10.13026/3bhc-9065): two lines of titles, then the names, then a line a person, with one
// skin column a site and round.
const clinicalOral = "aveOralM"

func clinicalSkin(site event.Site, round int) string {
	column := map[event.Site]string{event.Forehead: "T_FH_Max", event.WholeFace: "T_Max"}[site]
	if column == "" {
		column = "canthiMax"
	}
	return column + strconv.Itoa(round)
}

// The names a plain file may give its columns, in lower case.
var (
	skinNames    = []string{"skin_celsius", "skin"}
	oralNames    = []string{"oral_celsius", "oral"}
	siteNames    = []string{"skin_site", "site"}
	ambientNames = []string{"ambient_celsius", "ambient"}
	cameraNames  = []string{"camera"}
	timeNames    = []string{"time"}
)

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
	layout, err := t.layout(choose)
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
	skin, oral, site, ambient, camera, date, time int
	siteName                                      event.Site
}

func (t *table) layout(choose Columns) (layout, error) {
	l := layout{skin: -1, oral: -1, site: -1, ambient: -1, camera: -1, date: -1, time: -1, siteName: choose.Site}
	if l.siteName == "" {
		l.siteName = event.InnerCanthus
	}
	var skin []string
	if t.clinical {
		skin = []string{clinicalSkin(l.siteName, choose.Round)}
		l.oral, l.ambient = t.column(clinicalOral), t.column("T_atm")
		l.date, l.time = t.column("Date"), t.column("Time")
	} else {
		skin = skinNames
		l.oral, l.ambient = t.column(oralNames...), t.column(ambientNames...)
		l.site, l.camera, l.time = t.column(siteNames...), t.column(cameraNames...), t.column(timeNames...)
	}
	if choose.Skin != "" {
		skin = []string{choose.Skin}
	}
	l.skin = t.column(skin...)
	for _, needed := range []struct {
		column int
		names  []string
	}{{l.skin, skin}, {l.oral, oralNames}} {
		if needed.column < 0 {
			return l, fmt.Errorf("line %d names no column %s; it names %s", t.names.line,
				strings.Join(needed.names, " or "), abridged(t.names.cells))
		}
	}
	return l, nil
}

// column is the first of the names that the file has.
func (t *table) column(names ...string) int {
	for _, name := range names {
		for i := range t.names.cells {
			if strings.EqualFold(t.names.cell(i), name) {
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
	p := Pair{Line: r.line, Camera: r.cell(l.camera), Site: l.siteName, AmbientCelsius: math.NaN()}
	if s := r.cell(l.site); s != "" {
		p.Site = event.Site(s)
	}
	var reason string
	if p.SkinCelsius, reason = temperature("skin", r.cell(l.skin), leastSkin, mostSkin); reason != "" {
		return p, reason
	}
	if p.OralCelsius, reason = temperature("oral", r.cell(l.oral), leastOral, mostOral); reason != "" {
		return p, reason
	}
	if !isSite(p.Site) {
		return p, fmt.Sprintf("site is none of %s, %s and %s", event.InnerCanthus, event.Forehead, event.WholeFace)
	}
	if ambient, err := strconv.ParseFloat(r.cell(l.ambient), 64); err == nil {
		p.AmbientCelsius = ambient
	}
	p.At = parseTime(strings.TrimSpace(r.cell(l.date) + " " + r.cell(l.time)))
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
