package roster

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// TestNamesAreNeverOtherLetters has lists of encodings that nothing in them tells: who is on one is called as they are, or it is refused.
func TestNamesAreNeverOtherLetters(t *testing.T) {
	const german = "Number,Name,Department\nA1,Jürgen Müller,Kühlung\nA2,Zoë Weiß,Küche\n"
	for name, test := range map[string]struct {
		text string
		in   encoding.Encoding
		want error
	}{
		"German, Windows-1252":     {german, charmap.Windows1252, NotText},
		"German, Mac":              {german, charmap.Macintosh, NotText},
		"French":                   {"Number,Name\nA1,Anaïs Lefèvre\nA2,Jérôme Créée\n", charmap.Windows1252, NotText},
		"Polish":                   {"Number,Name\nA1,Łukasz Żółć\nA2,Świętosława Pająk\n", charmap.Windows1250, NotText},
		"Vietnamese":               {"Number,Name\nA1,Nguy\u00ea\u0303n Trâ\u0300n\n", charmap.Windows1258, NotText},
		"Vietnamese, capitals":     {"Number,Name\nA1,NGUY\u00ca\u0303N\n", charmap.Windows1258, NotText},
		"Chinese, GBK":             {"工号,姓名\nA1,朱镕\n", simplifiedchinese.GBK, nil},
		"Chinese, English titles":  {"Number,Name\nA1,朱镕基\nA2,陶喆\nA3,张三\n", simplifiedchinese.GBK, nil},
		"Chinese, with letters":    {"工号,姓名,部门,班次\nA1,张三,SMT车间,A班\nA2,李四,QC质检,B班\nA3,王五C,IT部,A班\n", simplifiedchinese.GBK, nil},
		"Chinese, four bytes":      {"工号,姓名,部门\nA1,张㐂,总装\n", simplifiedchinese.GB18030, nil},
		"Chinese of Taiwan, Big 5": {"Number,Name\nA1,陳小明\nA2,林美麗\nA3,王建國\n", traditionalchinese.Big5, NotText},
	} {
		file, err := test.in.NewEncoder().Bytes([]byte(test.text))
		if err != nil {
			t.Fatal(name, err)
		}
		list, err := Read(file, nil, "")
		if err != test.want {
			t.Errorf("%s: %v, want %v; %+v", name, err, test.want, list)
		}
		for _, p := range list.People {
			if !strings.Contains(test.text, p.Number+","+p.Name) {
				t.Errorf("%s: %s is %s", name, p.Number, p.Name)
			}
		}
	}
}

// TestDamagedLine has a byte of 20,000 lines be none of UTF-8: that line is passed over, and told, and no other is another's.
func TestDamagedLine(t *testing.T) {
	lines := []string{"工号,姓名,部门"}
	for n := range 20_000 {
		lines = append(lines, fmt.Sprintf("A%05d,欧阳娜娜,总装", n))
	}
	lines[10_000] = "A09999,欧阳\xc4娜,总装"
	list, err := Read([]byte(strings.Join(lines, "\n")), nil, "")
	if err != nil || len(list.People) != 19_999 || len(list.Refused) != 1 {
		t.Fatalf("%d people, %+v, %v", len(list.People), list.Refused, err)
	}
	if r := list.Refused[0]; r.Line != 10_001 || r.Why != BadText || r.Number != "A09999" {
		t.Errorf("%+v", r)
	}
	for _, p := range list.People {
		if p.Name != "欧阳娜娜" {
			t.Fatalf("%s is %s", p.Number, p.Name)
		}
	}
}

// TestQuoteInTheMiddle has a quotation mark that nothing closes in the middle of a long list, in a column that counts and in one
// that does not.
func TestQuoteInTheMiddle(t *testing.T) {
	for _, broken := range []string{`A09999,"欧阳娜娜,总装,`, `A09999,欧阳娜娜,总装,"来自苏州`} {
		lines := []string{"工号,姓名,部门,备注"}
		for n := range 20_000 {
			lines = append(lines, fmt.Sprintf("A%05d,欧阳娜娜,总装,", n))
		}
		lines[9_000] = "A08999,欧阳娜娜,总装,\"两行\n备注\"" // one that is closed, of two lines
		lines[10_000] = broken
		list, err := Read([]byte(strings.Join(lines, "\n")), nil, "")
		if err != nil || len(list.People) != 19_999 || len(list.Refused) != 1 {
			t.Fatalf("%s: %d people, %+.200v, %v", broken, len(list.People), list.Refused, err)
		}
		if r := list.Refused[0]; r.Line != 10_002 || r.Number != "A09999" || r.Why != BadText {
			t.Errorf("%s: %+.200v", broken, r)
		}
		if last := list.People[len(list.People)-1]; last.Line != 20_002 || last.Number != "A19999" {
			t.Errorf("%s: the last one is %+v", broken, last)
		}
	}
}

// TestManyQuotes has a file be refused in a moment that takes hours where each line is read to the end.
func TestManyQuotes(t *testing.T) {
	if _, err := Read([]byte("number,name\n"+strings.Repeat("1,\"a\n", MaxBytes/6)), nil, ""); err != Broken {
		t.Errorf("%v", err)
	}
}
