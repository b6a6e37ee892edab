// Package roster reads lists of people as companies and personnel offices send them: CSV in the encodings that spreadsheets
// write, and XLSX. What is taken is what the console needs; all other columns stay out of it.
package roster

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/width"

	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/store"
)

// Bounds of a list.
const (
	MaxBytes  = 8 << 20
	MaxPeople = 50_000
	// headerWithin is in how many lines the titles of the columns stand: some have a title above.
	headerWithin = 10
	maxTold      = 40 // characters of a cell that is told to be wrong
	maxIgnored   = 20 // titles of other columns that are told
	maxColumns   = 1000
	maxUnclosed  = 20 // quotation marks that nothing closes: with each the rest is read once more
)

// List is what a file says.
type List struct {
	People  []store.Listed
	Refused []store.Unlisted
	// Ignored are the titles of columns that were left out, the first of them.
	Ignored []string
}

// Why a line is passed over, beside store.NumberTaken.
const (
	NoNumber       store.Unfit = "no-number"
	BadNumber      store.Unfit = "bad-number"     // something else than letters, digits, dots, dashes, underscores and slashes
	RoundedNumber  store.Unfit = "rounded-number" // a spreadsheet wrote 1.2E+11 or 1047.0
	TwiceNumber    store.Unfit = "twice"
	NoName         store.Unfit = "no-name"
	BadText        store.Unfit = "bad-text" // too long, not printable, of several lines, or like a formula
	UnknownCompany store.Unfit = "unknown-company"
)

// FileError says why a file is no list at all.
type FileError string

// Why a file is no list.
const (
	Empty     FileError = "empty"
	TooLong   FileError = "too-long"
	NoTitles  FileError = "no-titles" // of the columns number and name
	NotText   FileError = "not-text"  // of an encoding that is not known here
	OldSheet  FileError = "old-sheet" // XLS, or one with a password
	Broken    FileError = "broken"
	Exploding FileError = "exploding" // a small file that is a huge one when it is opened
)

func (e FileError) Error() string { return "this file is no list of people: " + string(e) }

// Companies are the ids of a site's companies by name; a list of one company's own people has none.
type Companies map[string]string

// Read reads a list. With own it is that of the company with this id, whatever its lines say. Its error is a FileError.
func Read(body []byte, companies Companies, own string) (List, error) {
	var l List
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return l, Empty
	case len(body) > MaxBytes:
		return l, TooLong
	case bytes.HasPrefix(body, []byte{0xd0, 0xcf, 0x11, 0xe0}):
		return l, OldSheet
	}
	r := reader{companies: companies, own: own, seen: map[string]bool{}, list: &l}
	var err error
	if bytes.HasPrefix(body, []byte("PK\x03\x04")) {
		err = readXLSX(body, r.line)
	} else {
		err = r.readCSV(body)
	}
	if err != nil {
		return List{}, err
	}
	if r.columns == nil {
		return List{}, NoTitles
	}
	return l, nil
}

// reader reads line by line.
type reader struct {
	companies Companies
	own       string
	columns   map[field]int // where they stand; nil before the line that says so
	lines     int
	seen      map[string]bool
	list      *List
}

// field is what the console keeps of somebody.
type field int

const (
	number field = iota
	name
	company
	department
	shift
)

// titles are what columns are called.
var titles = map[string]field{
	"工号": number, "编号": number, "员工编号": number, "员工号": number, "工牌号": number, "卡号": number, "证号": number,
	"number": number, "no": number, "no.": number, "badge": number, "badge number": number, "employee number": number, "employee id": number, "id": number,
	"姓名": name, "名字": name, "员工姓名": name, "name": name, "full name": name, "employee name": name,
	"公司": company, "公司名称": company, "单位": company, "企业": company, "供应商": company, "company": company, "contractor": company,
	"部门": department, "科室": department, "车间": department, "department": department, "dept": department,
	"班次": shift, "班组": shift, "班": shift, "shift": shift,
}

func titleOf(cell string) (field, bool) {
	of, known := titles[strings.ToLower(strings.Trim(strings.TrimSpace(width.Fold.String(cell)), "*:"))]
	return of, known
}

// line takes one of a file.
func (r *reader) line(at int, cells []string) error {
	if !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return nil
	}
	r.lines++
	if r.columns == nil {
		r.header(cells)
		if r.columns == nil && r.lines >= headerWithin {
			return NoTitles
		}
		return nil
	}
	if len(r.list.People)+len(r.list.Refused) >= MaxPeople {
		return TooLong
	}
	person, why, text := r.person(cells)
	if why != "" {
		r.refuse(at, person.Number, why, text)
		return nil
	}
	person.Line = at
	r.seen[person.Number] = true
	r.list.People = append(r.list.People, person)
	return nil
}

// refuse passes a line over.
func (r *reader) refuse(at int, number string, why store.Unfit, text string) {
	line := store.Unlisted{Line: at, Why: why, Text: told(text)}
	if fitNumber.MatchString(number) {
		line.Number = number
	}
	r.list.Refused = append(r.list.Refused, line)
}

func (r *reader) header(cells []string) {
	columns := map[field]int{}
	var ignored []string
	for i, cell := range cells {
		of, known := titleOf(cell)
		if _, twice := columns[of]; known && !twice {
			columns[of] = i
		} else if strings.TrimSpace(cell) != "" && len(ignored) < maxIgnored {
			ignored = append(ignored, told(cell))
		}
	}
	_, hasNumber := columns[number]
	_, hasName := columns[name]
	if hasNumber && hasName {
		r.columns, r.list.Ignored = columns, ignored
	}
}

var (
	fitNumber = regexp.MustCompile(`^[A-Z0-9][A-Z0-9._/-]{0,31}$`)
	rounded   = regexp.MustCompile(`^([0-9](\.[0-9]+)?E\+[0-9]+|[0-9]+\.0)$`)
	quoted    = regexp.MustCompile(`^="(.*)"$`) // how spreadsheets are made to keep leading zeros
)

// person is the one of a line, or why there is none.
func (r *reader) person(cells []string) (p store.Listed, why store.Unfit, text string) {
	cell := func(of field) string {
		if i, has := r.columns[of]; has && i < len(cells) {
			return strings.TrimSpace(cells[i])
		}
		return ""
	}
	p = store.Listed{Name: strings.Join(strings.Fields(cell(name)), " "), Department: cell(department), Shift: cell(shift), Company: r.own}
	p.Number = strings.ToUpper(width.Fold.String(cell(number)))
	if inner := quoted.FindStringSubmatch(p.Number); inner != nil {
		p.Number = inner[1]
	}
	switch {
	case p.Number == "":
		return p, NoNumber, p.Name
	case rounded.MatchString(p.Number):
		return p, RoundedNumber, p.Number
	case !fitNumber.MatchString(p.Number), passcode.Is(p.Number):
		return p, BadNumber, p.Number
	case r.seen[p.Number]:
		return p, TwiceNumber, p.Number
	case slices.ContainsFunc(cells, func(cell string) bool { return strings.Contains(cell, damaged) }):
		return p, BadText, p.Name
	case p.Name == "":
		return p, NoName, p.Number
	case strings.ContainsAny(cell(name), "\r\n"): // after a quotation mark that nothing closes others would be swallowed
		return p, BadText, p.Name
	}
	for _, text := range []string{p.Name, p.Department, p.Shift} {
		if text != "" && !store.CheckText(text) {
			return p, BadText, text
		}
	}
	if called := cell(company); r.own == "" && called != "" {
		id, known := r.companies[called]
		if !known {
			return p, UnknownCompany, called
		}
		p.Company = id
	}
	return p, "", ""
}

// told is as much of a cell as is told.
func told(text string) string {
	text = strings.ToValidUTF8(strings.TrimSpace(text), "")
	if runes := []rune(text); len(runes) > maxTold {
		return string(runes[:maxTold]) + "…"
	}
	return text
}

// readCSV reads text whose columns commas, semicolons or tabs part.
func (r *reader) readCSV(body []byte) error {
	text, err := decode(body)
	if err != nil {
		return err
	}
	comma := commaOf(text)
	for line := range strings.SplitSeq(text, "\n") { // each column takes memory before it is known to be of no use
		if strings.Count(line, string(comma)) > maxColumns {
			return Broken
		}
	}
	before := 0 // lines
	for range maxUnclosed {
		from := newCSV(text, comma)
		for {
			start := from.InputOffset()
			cells, err := from.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return Broken
			}
			at, _ := from.FieldPos(0)
			first, others, _ := strings.Cut(strings.TrimLeft(text[start:from.InputOffset()], "\r\n"), "\n")
			if others != "" && r.swallows(others, comma) {
				alone, _ := newCSV(first, comma).Read() // it was read before
				person, _, _ := r.person(alone)
				r.refuse(before+at, person.Number, BadText, person.Name)
				text = text[int(from.InputOffset())-len(others):]
				before += at
				break
			}
			if err := r.line(before+at, cells); err != nil {
				return err
			}
		}
	}
	return Broken
}

func newCSV(text string, comma rune) *csv.Reader {
	from := csv.NewReader(strings.NewReader(text))
	from.FieldsPerRecord, from.LazyQuotes, from.ReuseRecord, from.Comma = -1, true, true, comma
	return from
}

// swallows says whether there is somebody in what is a cell's, as it is after a quotation mark that nothing closes.
func (r *reader) swallows(text string, comma rune) bool {
	if r.columns == nil {
		return false
	}
	for line := range strings.SplitSeq(text, "\n") {
		cells, err := newCSV(line, comma).Read()
		if err != nil {
			continue // an empty one
		}
		if person, _, _ := r.person(cells); fitNumber.MatchString(person.Number) && person.Name != "" {
			return true
		}
	}
	return false
}

// commaOf is what parts the columns: what parts the titles of number and name.
func commaOf(text string) rune {
	for _, line := range strings.SplitN(text, "\n", headerWithin+1) {
		for _, comma := range ",;\t" {
			of := map[field]bool{}
			for _, cell := range strings.SplitN(line, string(comma), maxColumns) {
				if title, known := titleOf(strings.Trim(strings.TrimSpace(cell), `"`)); known {
					of[title] = true
				}
			}
			if of[number] && of[name] {
				return comma
			}
		}
	}
	return ','
}

// damaged stands for bytes that are no text.
const damaged = "\ufffd"

// mostlyUTF8 says whether more of the bytes beyond ASCII are UTF-8 than are not, and by far: what is not is damage.
func mostlyUTF8(body []byte) bool {
	var good, bad int
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		body = body[size:]
		switch {
		case size > 1:
			good++
		case r == utf8.RuneError:
			bad++
		}
	}
	return good > 10*bad
}

// isGB18030 says whether text beyond ASCII is Chinese: most of it characters of GB 2312, which nearly all people are called by, and
// both of whose bytes are beyond ASCII, and seldom within a word. The letters of Windows-1252 and its like are, while Chinese ones have
// at most capitals before or after them, as in SMT车间.
func isGB18030(body []byte) bool {
	var common, other, words, mixed int
	for i := 0; i < len(body); {
		if body[i] < 0x80 {
			i++
			continue
		}
		begin := i
		for i < len(body) && body[i] >= 0x80 {
			if body[i] > 0xa0 && i+1 < len(body) && body[i+1] > 0xa0 {
				common++
			} else {
				other++
			}
			i += 2
		}
		words++
		before, after := byte(' '), byte(' ')
		if begin > 0 {
			before = body[begin-1]
		}
		if i < len(body) {
			after = body[i]
		}
		if isSmall(before) || isSmall(after) || isCapital(before) && isCapital(after) {
			mixed++
		}
	}
	return common >= other && 2*mixed <= words
}

func isSmall(b byte) bool   { return 'a' <= b && b <= 'z' }
func isCapital(b byte) bool { return 'A' <= b && b <= 'Z' }

// decode makes a text of what spreadsheets write: UTF-8, UTF-16, or what Chinese Windows has. What Windows writes elsewhere is not
// understood: the bytes of its letters are Chinese characters, too, and other letters in each country.
func decode(body []byte) (string, error) {
	var from encoding.Encoding
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
		from = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case bytes.HasPrefix(body, []byte("\ufeff")):
		body = body[len("\ufeff"):]
	case len(body) > 3 && body[1] == 0 && body[3] == 0:
		from = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case len(body) > 3 && body[0] == 0 && body[2] == 0:
		from = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case utf8.Valid(body):
	case mostlyUTF8(body):
		body = bytes.ToValidUTF8(body, []byte(damaged)) // in some of its lines
	case isGB18030(body):
		from = simplifiedchinese.GB18030
	default:
		return "", NotText
	}
	text := string(body)
	if from != nil {
		decoded, err := from.NewDecoder().Bytes(body)
		if err != nil {
			return "", NotText
		}
		text = string(decoded)
	}
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") || from != nil && strings.Contains(text, damaged) {
		return "", NotText
	}
	if !strings.Contains(text, "\n") { // as old Macs part lines
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	return text, nil
}
