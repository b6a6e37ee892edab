// Package table writes tables for programs, as CSV, and for people, as XLSX. What was entered by others is never a formula.
package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/xuri/excelize/v2"

	"thermogate/screening/event"
)

// Cell is what a column has in a row: nil, string, float64, int, int64, bool or time.Time, which is in its site's zone.
type Cell any

// Column of a table. A program finds it by its name, whatever the language; a sheet has its title.
type Column[R any] struct {
	Name  string
	Title event.Phrase
	Width float64 // of a sheet, in characters
	Of    func(R) Cell
}

// NewColumn is a column with its title in both languages.
func NewColumn[R any](name, zh, en string, width float64, of func(R) Cell) Column[R] {
	return Column[R]{name, event.Phrase{ZH: zh, EN: en}, width, of}
}

// The media types of files.
const (
	CSVType  = "text/csv; charset=utf-8"
	XLSXType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// ByteOrderMark tells spreadsheets that a file is in UTF-8.
const ByteOrderMark = "\ufeff"

// CSV is a file that is written row by row.
type CSV[R any] struct {
	columns []Column[R]
	to      *csv.Writer
	line    []string
}

// NewCSV begins a file with the names of its columns.
func NewCSV[R any](to io.Writer, columns []Column[R]) (*CSV[R], error) {
	if _, err := io.WriteString(to, ByteOrderMark); err != nil {
		return nil, err
	}
	c := &CSV[R]{columns, csv.NewWriter(to), make([]string, len(columns))}
	for i, column := range columns {
		c.line[i] = column.Name
	}
	return c, c.to.Write(c.line)
}

// Add writes a row.
func (c *CSV[R]) Add(row R) error {
	for i, column := range c.columns {
		c.line[i] = Text(column.Of(row))
	}
	return c.to.Write(c.line)
}

// End writes what is left.
func (c *CSV[R]) End() error {
	c.to.Flush()
	return c.to.Error()
}

// Text is a cell as programs and spreadsheets read it. What a spreadsheet would take for a formula begins with an
// apostrophe, unless it is a number of ours.
func Text(c Cell) string {
	switch c := c.(type) {
	case nil:
		return ""
	case string:
		return harmless(c)
	case float64:
		return strconv.FormatFloat(c, 'f', -1, 64)
	case time.Time:
		return c.Format("2006-01-02T15:04:05.000Z07:00")
	}
	return fmt.Sprint(c)
}

func harmless(text string) string {
	text = printable(text)
	if trimmed := strings.TrimLeft(text, " \u00a0\u3000"); trimmed != "" && strings.ContainsRune("=+-@＝＋－＠|%", []rune(trimmed)[0]) {
		return "'" + text
	}
	return text
}

// printable leaves out what no file of a spreadsheet can hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// Book is an XLSX file.
type Book struct {
	file                    *excelize.File
	sheets                  int
	moment, decimal, header int // styles
}

// NewBook begins a book, which is to be closed.
func NewBook() (*Book, error) {
	b := &Book{file: excelize.NewFile()}
	style := func(s excelize.Style) (id int, err error) { return b.file.NewStyle(&s) }
	moment, decimal := "yyyy-mm-dd hh:mm:ss", "0.00"
	var errs [3]error
	b.moment, errs[0] = style(excelize.Style{CustomNumFmt: &moment})
	b.decimal, errs[1] = style(excelize.Style{CustomNumFmt: &decimal})
	b.header, errs[2] = style(excelize.Style{Font: &excelize.Font{Bold: true}})
	if err := errors.Join(errs[:]...); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close removes what the book had put aside on disk.
func (b *Book) Close() error { return b.file.Close() }

// Write writes the whole book.
func (b *Book) Write(to io.Writer) error { return b.file.Write(to) }

func (b *Book) newSheet(name string) (err error) {
	b.sheets++
	if b.sheets == 1 { // which every book begins with
		return b.file.SetSheetName(b.file.GetSheetName(0), name)
	}
	_, err = b.file.NewSheet(name)
	return err
}

// AddFacts adds a sheet of names and what they are.
func (b *Book) AddFacts(name string, facts [][2]any) error {
	if err := b.newSheet(name); err != nil {
		return err
	}
	for i, fact := range facts {
		for j, value := range fact {
			if text, is := value.(string); is {
				value = printable(text)
			}
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err == nil {
				err = b.file.SetCellValue(name, at, value)
			}
			if err != nil {
				return err
			}
		}
	}
	return b.file.SetColWidth(name, "A", "B", 30)
}

// Sheet is a sheet of a book that is written row by row.
type Sheet[R any] struct {
	Rows int // so far, without the header

	book    *Book
	columns []Column[R]
	to      *excelize.StreamWriter
	line    []any
}

// AddSheet adds a sheet, with a header that stays where it is.
func AddSheet[R any](b *Book, name string, columns []Column[R], say func(event.Phrase) string) (*Sheet[R], error) {
	err := b.newSheet(name)
	if err != nil {
		return nil, err
	}
	s := &Sheet[R]{book: b, columns: columns, line: make([]any, len(columns))}
	if s.to, err = b.file.NewStreamWriter(name); err != nil {
		return nil, err
	}
	for i, column := range columns {
		if err := s.to.SetColWidth(i+1, i+1, column.Width); err != nil {
			return nil, err
		}
		s.line[i] = excelize.Cell{StyleID: b.header, Value: say(column.Title)}
	}
	if err := s.to.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return nil, err
	}
	return s, s.to.SetRow("A1", s.line)
}

// Add writes a row.
func (s *Sheet[R]) Add(row R) error {
	for i, column := range s.columns {
		switch value := column.Of(row).(type) {
		case string: // which the sheet holds as a text, whatever it looks like
			s.line[i] = printable(value)
		case float64:
			s.line[i] = excelize.Cell{StyleID: s.book.decimal, Value: value}
		case time.Time:
			s.line[i] = excelize.Cell{StyleID: s.book.moment, Value: value}
		default:
			s.line[i] = value
		}
	}
	s.Rows++
	return s.to.SetRow("A"+strconv.Itoa(s.Rows+1), s.line)
}

// End writes what is left.
func (s *Sheet[R]) End() error { return s.to.Flush() }
