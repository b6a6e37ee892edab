// Package cards prints pass codes as cards: ten to a sheet of A4, to be cut.
package cards

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/boombuler/barcode/qr"
)

// Most is how many cards a file holds.
const Most = 1000

// Card is one of somebody.
type Card struct {
	Code   string // the text of the pass code
	Name   string
	Number string
	Lines  []string // below that: company, and until when it is good
}

// Sizes in millimetres: a card is as large as a bank card.
const (
	width, height = 85.6, 53.98
	across, down  = 2, 5
	left          = (210 - across*width) / 2
	top           = (297 - down*height) / 2
	code          = 42.0
	quiet         = 4 // modules
	margin        = 4.0
)

const family = "cards"

// fonts are TrueType fonts with Chinese that Debian has, of which a file takes what it needs. (Others are of kinds that the library does not
// read: collections, and PostScript outlines.)
var fonts = []string{"/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", "/usr/share/fonts/truetype/droid/DroidSansFallback.ttf"}

// ErrNoFont is the error for a machine without a font.
var ErrNoFont = errors.New("there is no font for the cards: install the Debian package fonts-droid-fallback, or print the list of codes (CSV) with a program of your own")

// FontFile is where the font is; empty where there is none.
func FontFile() string {
	for _, path := range fonts {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Write writes a PDF of cards, Most at the most. Who holds a card may be let in with it, so nobody else is to have the file.
func Write(to io.Writer, cards []Card) error {
	path := FontFile()
	if path == "" {
		return ErrNoFont
	}
	font, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the font of the cards: %w", err)
	}
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetCreator("thermogate", true)
	pdf.AddUTF8FontFromBytes(family, "", font)
	pdf.SetLineWidth(0.1)
	for i, card := range cards[:min(len(cards), Most)] {
		place := i % (across * down)
		if place == 0 {
			pdf.AddPage()
		}
		if err := draw(pdf, card, left+float64(place%across)*width, top+float64(place/across)*height); err != nil {
			return err
		}
	}
	if err := pdf.Output(to); err != nil {
		return fmt.Errorf("the PDF of the cards: %w", err)
	}
	return nil
}

func draw(pdf *fpdf.Fpdf, card Card, x, y float64) error {
	drawn, err := qr.Encode(card.Code, qr.L, qr.AlphaNumeric) // the level of the codes' longest, which is version 6
	if err != nil {
		return fmt.Errorf("the QR code of a card: %w", err)
	}
	pdf.SetDrawColor(170, 170, 170)
	pdf.Rect(x, y, width, height, "D")
	pdf.SetFillColor(0, 0, 0)
	modules := drawn.Bounds().Dx()
	size := code / float64(modules+2*quiet)
	for row := range modules {
		for from := 0; from < modules; from++ {
			to := from
			for to < modules && isBlack(drawn.At(to, row).RGBA()) {
				to++
			}
			if to > from { // one bar for neighbours: fewer seams
				pdf.Rect(x+margin/2+float64(quiet+from)*size, y+(height-code)/2+float64(quiet+row)*size, float64(to-from)*size, size, "F")
				from = to
			}
		}
	}
	t := text{pdf: pdf, x: x + margin/2 + code + 1, y: y + 9, wide: width - code - margin - 1, latin: pdf.UnicodeTranslatorFromDescriptor("")}
	t.write(15, 2, card.Name)
	t.write(11, 1, card.Number)
	for _, line := range card.Lines {
		t.write(9, 2, line)
	}
	return nil
}

// text is written line by line.
type text struct {
	pdf        *fpdf.Fpdf
	x, y, wide float64
	latin      func(string) string // the encoding of the font that every PDF reader has
}

// isLatin tells which letters the font of Chinese lacks.
func isLatin(r rune) bool { return r <= unicode.MaxLatin1 }

// write writes as much as fits into so many lines.
func (t *text) write(points float64, lines int, words string) {
	used := 0.0
	t.pdf.SetXY(t.x, t.y)
	for _, r := range words {
		name, drawn := family, string(r)
		if isLatin(r) {
			name, drawn = "Helvetica", t.latin(drawn)
		}
		t.pdf.SetFont(name, "", points)
		wide := t.pdf.GetStringWidth(drawn)
		if used+wide > t.wide {
			if lines--; lines == 0 {
				break
			}
			used = 0
			t.y += points * 0.45
		}
		t.pdf.SetXY(t.x+used, t.y)
		t.pdf.CellFormat(wide, points*0.45, drawn, "", 0, "C", false, 0, "")
		used += wide
	}
	t.y += points * 0.5
}

func isBlack(red, _, _, _ uint32) bool { return red == 0 }
