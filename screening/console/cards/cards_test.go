package cards

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSheet(t *testing.T) {
	if FontFile() == "" {
		t.Skip("SKIPPED: no font with Chinese (fonts-droid-fallback)")
	}
	var all []Card
	for n := range 12 {
		all = append(all, Card{
			Code: "TGPC" + strings.Repeat("ABCDEFG234567", 15)[:189], Name: fmt.Sprintf("欧阳娜娜 %d", n), Number: fmt.Sprintf("A-%05d", n),
			Lines: []string{"苏州精密机械有限责任公司 Suzhou Precision", "有效至 2026-12-31"},
		})
	}
	var pdf bytes.Buffer
	if err := Write(&pdf, all); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-")) || bytes.Count(pdf.Bytes(), []byte("/Type /Page\n")) != 2 {
		t.Errorf("no PDF of two pages: %.20q", pdf.Bytes())
	}
	if pdf.Len() > 300_000 {
		t.Errorf("%d bytes: the whole font is in it", pdf.Len())
	}
	if dir := os.Getenv("THERMOGATE_CARDS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "cards.pdf"), pdf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
