package matrix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CSV is a text file of numbers, one line a row: apart by commas, semicolons, tabs or spaces. What stands above the first
// row of numbers is skipped; an empty line, or one that begins with a word, ends a picture. With semicolons and tabs the decimal
// sign may be a comma.
type CSV struct {
	file  io.ReadSeeker
	lines *bufio.Scanner
	line  int
	// degrees is what the headings so far say of the numbers, see Picture.Degrees.
	degrees string
}

const (
	maxLine     = maxSide * 32
	maxHeadings = 100 // lines above the first row
)

// NewCSV returns the pictures of a file.
func NewCSV(file io.ReadSeeker) *CSV { return &CSV{file: file} }

// Rewind makes Next begin with the first picture.
func (c *CSV) Rewind() error {
	_, err := c.file.Seek(0, io.SeekStart)
	c.lines, c.line, c.degrees = bufio.NewScanner(c.file), 0, ""
	c.lines.Buffer(nil, maxLine)
	return err
}

// Next reads the next picture into p, whose memory it reuses, and returns io.EOF after the last.
func (c *CSV) Next(p *Picture) error {
	err := c.next(p)
	if err == nil {
		p.Degrees = c.degrees
		err = p.checkNumbered()
	}
	return err
}

// checkNumbered refuses a picture whose first row or column only counts the others.
func (p *Picture) checkNumbered() error {
	const least = 8
	row, column := p.Width >= least, p.Height >= least
	for x := 1; row && x < p.Width; x++ {
		row = p.Numbers[x] == p.Numbers[x-1]+1
	}
	for y := 1; column && y < p.Height; y++ {
		column = p.Numbers[y*p.Width] == p.Numbers[(y-1)*p.Width]+1
	}
	if row || column {
		return errors.New("its first row or column counts the others; save the numbers alone, with pandas by to_csv(NAME, header=False, index=False)")
	}
	return nil
}

// These match what a heading calls °F and kelvin. A degree sign that is no UTF-8 reads as the replacement character.
var (
	fahrenheit = regexp.MustCompile(`(?i:fahrenheit)|[°\x{fffd}] ?F\b|[\[(]F[\])]`)
	kelvin     = regexp.MustCompile(`(?i:kelvin)|[\[(]K[\])]`)
)

func (c *CSV) readHeading(line []byte) {
	switch {
	case fahrenheit.Match(line):
		c.degrees = "F"
	case kelvin.Match(line):
		c.degrees = "K"
	}
}

func (c *CSV) next(p *Picture) error {
	p.Width, p.Height, p.Numbers = 0, 0, p.Numbers[:0]
	first := c.line == 0
	var heading error // why the last line above the picture is no row of it
	for headings := 0; c.lines.Scan(); {
		c.line++
		row, err := parseRow(p.Numbers, c.lines.Bytes())
		width := len(row) - len(p.Numbers)
		switch {
		case err != nil && p.Height > 0 && !errors.Is(err, errWords):
			return fmt.Errorf("line %d: %w", c.line, err)
		case (err != nil || width == 0) && p.Height > 0:
			return nil
		case err != nil:
			c.readHeading(c.lines.Bytes())
			heading = fmt.Errorf("line %d: %w", c.line, err)
			if headings++; headings > maxHeadings {
				return heading
			}
			continue
		case width == 0:
			continue
		case p.Height > 0 && width != p.Width:
			return fmt.Errorf("line %d: it has %d numbers, the rows above have %d", c.line, width, p.Width)
		}
		p.Numbers, p.Width = row, width
		if p.Height++; p.Width > maxSide || p.Height > maxSide || len(p.Numbers) > maxPixels {
			return fmt.Errorf("line %d: the picture has more numbers than any camera's; an empty line ends a picture", c.line)
		}
	}
	switch err := c.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d: it is longer than the row of any picture", c.line+1)
	case err != nil:
		return err
	case p.Height > 0:
		return nil
	case first && heading != nil:
		return heading
	}
	return io.EOF
}

var errWords = errors.New("it begins with a word, not a number")

// parseRow appends the numbers of a line to numbers; an empty line has none.
func parseRow(numbers []float32, line []byte) ([]float32, error) {
	text := strings.TrimSpace(string(bytes.TrimPrefix(line, []byte("\ufeff")))) // the byte-order mark of spreadsheets
	separator := ","
	switch {
	case text == "":
		return numbers, nil
	case strings.ContainsAny(text, ";\t"):
		separator = "\t"
		if strings.Contains(text, ";") {
			separator = ";"
		}
		text = strings.ReplaceAll(text, ",", ".")
	case !strings.Contains(text, ","):
		separator = " "
		text = strings.Join(strings.Fields(text), " ")
	}
	for i, field := range strings.Split(strings.TrimSuffix(text, separator), separator) {
		field = strings.Trim(field, " \"")
		number, err := strconv.ParseFloat(field, 32)
		if first, _ := utf8.DecodeRuneInString(field); err != nil && i == 0 && (unicode.IsLetter(first) || first == '#') {
			return nil, errWords
		}
		if err != nil {
			return nil, fmt.Errorf("%.20q in column %d is no number", field, i+1)
		}
		numbers = append(numbers, float32(number))
	}
	return numbers, nil
}
