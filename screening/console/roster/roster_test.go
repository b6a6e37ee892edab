package roster

import (
	"archive/zip"
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"thermogate/screening/console/store"
)

const plain = "工号,姓名,部门\nA1,张三,总装\nA2,李四,喷涂\n"

// sheet is an XLSX file of these rows.
func sheet(t testing.TB, rows ...[]any) []byte {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	to, err := book.NewStreamWriter("Sheet1")
	for i, row := range rows {
		if err == nil {
			err = to.SetRow(fmt.Sprintf("A%d", i+1), row)
		}
	}
	if err == nil {
		err = to.Flush()
	}
	var file bytes.Buffer
	if err == nil {
		err = book.Write(&file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestFilesOfSpreadsheets(t *testing.T) {
	encoded := func(bytes []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	want := []store.Listed{{Line: 2, Number: "A1", Name: "张三", Department: "总装"}, {Line: 3, Number: "A2", Name: "李四", Department: "喷涂"}}
	for name, file := range map[string][]byte{
		"UTF-8":            []byte(plain),
		"UTF-8 with mark":  []byte("\ufeff" + plain),
		"Windows' lines":   []byte(strings.ReplaceAll(plain, "\n", "\r\n")),
		"semicolons":       []byte(strings.ReplaceAll(plain, ",", ";")),
		"tabs":             []byte(strings.ReplaceAll(plain, ",", "\t")),
		"an old Mac's":     []byte(strings.ReplaceAll(plain, "\n", "\r")),
		"GBK":              encoded(simplifiedchinese.GBK.NewEncoder().Bytes([]byte(plain))),
		"UTF-16":           encoded(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(plain))),
		"UTF-16 the other": encoded(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(plain))),
		"XLSX":             sheet(t, []any{"工号", "姓名", "部门"}, []any{"A1", "张三", "总装"}, []any{"A2", "李四", "喷涂"}),
	} {
		list, err := Read(file, nil, "")
		if err != nil || len(list.Refused) > 0 {
			t.Errorf("%s: %v, %+v", name, err, list.Refused)
		}
		if diff := cmp.Diff(want, list.People); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTitleAboveOtherCommas has a line above the titles that has no columns, or looks as if it had.
func TestTitleAboveOtherCommas(t *testing.T) {
	for _, above := range []string{"2026年返工人员名单", "People, by name, number, and so on, March 2026", ""} {
		list, err := Read([]byte(above+"\n"+strings.ReplaceAll(plain, ",", ";")+"\n"), nil, "")
		if err != nil || len(list.People) != 2 {
			t.Errorf("under %q: %+v, %v", above, list, err)
		}
	}
}

// TestQuoteThatNothingCloses must not have people gone without a word.
func TestQuoteThatNothingCloses(t *testing.T) {
	list, err := Read([]byte("number,name\n1,\"An\"\"n\n2,Bob\n3,\"Cecil\"\n4,Dan\n"), nil, "")
	if err != nil || len(list.Refused) == 0 || list.Refused[0].Why != BadText || slices.ContainsFunc(list.People, func(p store.Listed) bool { return strings.Contains(p.Name, "Bob") && p.Number != "2" }) {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestLines(t *testing.T) {
	file := strings.Join([]string{
		"2026年返工人员名单,,,,", "",
		"姓 名,Employee ID,单位,班次,身份证号", // the title of a name has a blank in it, and is none
	}, "\n")
	if _, err := Read([]byte(file), nil, ""); err != NoTitles {
		t.Errorf("%v", err)
	}
	file = strings.Join([]string{
		"2026年返工人员名单,,,,", "",
		"姓名*,Employee ID,单位,班次,身份证号",
		"张三,ａ１,精工,甲班,3205",
		`李四,"=""00042""",,,3205`,
		"王五,A1,,,", "赵六,,,,", ",A3,,,", "钱七,1.2E+11,,,", "孙八,+A4,,,", "=HYPERLINK(1),A5,,,", "@周九,A6,,,", "吴十,A7,没有的公司,,",
		"郑一,TGPCABC,,,", "冯二,A8,,=1+1,", strings.Repeat("长", 50) + ",A9,,,", "陈\u200e三,A10,,,", ",,,,", "周十,1047.0,,,",
	}, "\n")
	list, err := Read([]byte(file), Companies{"精工": "id"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.Listed{
		{Line: 4, Number: "A1", Name: "张三", Company: "id", Shift: "甲班"}, {Line: 5, Number: "00042", Name: "李四"},
	}, list.People); diff != "" {
		t.Error(diff)
	}
	var refused []string
	for _, r := range list.Refused {
		if (r.Number != "") != strings.Contains(" A1 A5 A6 A7 A8 A9 A10 A3 TGPCABC 1047.0 ", " "+r.Number+" ") {
			t.Errorf("line %d is of %q", r.Line, r.Number)
		}
		refused = append(refused, fmt.Sprint(r.Line, " ", r.Why))
	}
	want := []string{
		"6 twice", "7 no-number", "8 no-name", "9 rounded-number", "10 bad-number", "11 bad-text", "12 bad-text", "13 unknown-company",
		"14 bad-number", "15 bad-text", "16 bad-text", "17 bad-text", "19 rounded-number",
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"身份证号"}, list.Ignored); diff != "" {
		t.Error(diff)
	}
	if list, err := Read([]byte("number,name,company\n1,x,其他\n"), nil, "own"); err != nil || len(list.People) != 1 || list.People[0].Company != "own" {
		t.Errorf("a company lists people of others: %+v, %v", list, err)
	}
}

// bomb is a book whose sheet is so many bytes of one letter.
func bomb(t testing.TB, bytesOfSheet int) []byte {
	t.Helper()
	var file bytes.Buffer
	packed := zip.NewWriter(&file)
	w, err := packed.Create("xl/worksheets/sheet1.xml")
	for left := bytesOfSheet; left > 0 && err == nil; left -= 1 << 20 {
		_, err = w.Write(bytes.Repeat([]byte("A"), 1<<20))
	}
	if err != nil || packed.Close() != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestFilesThatAreNoLists(t *testing.T) {
	many := []byte("x")
	var lines strings.Builder
	lines.WriteString("number,name\n")
	for n := range MaxPeople + 1 {
		fmt.Fprintf(&lines, "%d,a\n", n)
	}
	lying := sheet(t, []any{"number", "name"}, []any{"1", "x"})
	for name, test := range map[string]struct {
		file []byte
		want FileError
	}{
		"nothing":            {nil, Empty},
		"blanks":             {[]byte(" \n\n"), Empty},
		"one more person":    {[]byte(lines.String()), TooLong},
		"more than it takes": {bytes.Repeat([]byte("a,b\n"), MaxBytes/4+1), TooLong},
		"a million lines":    {[]byte("number,name\n" + strings.Repeat("1,a\n", 1_000_000)), TooLong},
		"a million empties":  {[]byte("number,name\n" + strings.Repeat(",x\n", 1_000_000)), TooLong},
		"no titles":          {many, NoTitles},
		"a million columns":  {[]byte("number,name" + strings.Repeat(",a", 1_000_000) + "\n1,x\n"), Broken},
		"XLS":                {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more"), OldSheet},
		"half of a book":     {lying[:len(lying)/2], Broken},
		"a book of nothing":  {bomb(t, 1<<20), Broken},
		"a bomb":             {bomb(t, 512<<20), Exploding},
		"a picture":          {append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), bytes.Repeat([]byte{0x80, 0xff}, 100)...), NotText},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(test.file, nil, "")
		runtime.ReadMemStats(&after)
		if err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<30 {
			t.Errorf("%s takes %d MB", name, used>>20)
		}
	}
}

func TestLongList(t *testing.T) {
	rows := [][]any{{"number", "name", "department", "shift"}}
	for n := range 20_000 {
		rows = append(rows, []any{fmt.Sprintf("A%05d", n), "欧阳娜娜", "总装车间", "甲班"})
	}
	file := sheet(t, rows...)
	began := time.Now()
	list, err := Read(file, nil, "")
	if err != nil || len(list.People) != 20_000 {
		t.Errorf("%d people, %v", len(list.People), err)
	}
	t.Logf("20,000 people of a sheet of %d kB are read in %v", len(file)>>10, time.Since(began))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(plain))
	f.Add(sheet(f, []any{"number", "name"}, []any{"A1", "x"}))
	f.Add([]byte("\xff\xfen\x00u\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		list, err := Read(file, Companies{"a": "b"}, "")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, p := range list.People {
			if seen[p.Number] || !fitNumber.MatchString(p.Number) || !store.CheckText(p.Name) {
				t.Errorf("%+v", p)
			}
			seen[p.Number] = true
		}
	})
}
