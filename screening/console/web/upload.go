package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/roster"
	"thermogate/screening/console/store"
)

// listedLines is how many lines of each kind the preview of an upload has.
const listedLines = 200

// uploadsPage is where lists of people are sent, and what became of those before.
type uploadsPage struct {
	office
	Uploads []store.Upload
	Most    int // people in a list
}

// uploadPage is what an upload would make of the list.
type uploadPage struct {
	office
	Upload  store.Upload
	Diff    store.Difference
	Sum     string
	Ignored string   // columns that were left out
	Shifts  []string // that the site's plan does not have
	Listed  int      // lines of each kind that are shown
}

func showUploads(v *visit) {
	if o, ok := v.office(); ok {
		v.uploadsPage(http.StatusOK, "", o)
	}
}

func (v *visit) uploadsPage(status int, notice string, o office) {
	all, err := v.store.Uploads(v.ctx(), o.Site, o.OwnID(), v.now, 20)
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "upload", notice, uploadsPage{o, all, roster.MaxPeople})
}

// takeUpload reads a list, and shows what it would change.
func takeUpload(v *visit) {
	file, header, err := v.r.FormFile("list")
	if err != nil {
		if o, ok := v.office(); ok {
			v.uploadsPage(http.StatusUnprocessableEntity, v.fileProblem(err), o)
		}
		return
	}
	defer file.Close()
	o, ok := v.office() // by now the form is read
	switch {
	case !ok:
		return
	case o.Site == "":
		v.missing()
		return
	case o.Closed():
		v.uploadsPage(http.StatusForbidden, v.tongue.Suspended(), o)
		return
	}
	body, err := io.ReadAll(io.LimitReader(file, roster.MaxBytes+1))
	if err != nil {
		v.uploadsPage(http.StatusUnprocessableEntity, v.fileProblem(err), o)
		return
	}
	select { // a large list takes memory
	case v.exports <- struct{}{}:
		defer func() { <-v.exports }()
	case <-v.ctx().Done():
		return
	}
	companies := roster.Companies{}
	for _, c := range o.Companies {
		companies[c.Name] = c.ID
		companies[c.Short] = c.ID
	}
	list, err := roster.Read(body, companies, o.OwnID())
	if err != nil {
		v.uploadsPage(http.StatusUnprocessableEntity, v.fileProblem(err), o)
		return
	}
	u := store.Upload{Site: o.Site, Company: o.OwnID(), By: v.account.Name, File: fileName(header.Filename), Whole: v.r.FormValue("whole") != ""}
	id, err := v.store.AddUpload(v.ctx(), u, list.People, list.Refused, v.now)
	if err != nil {
		v.fail(err)
		return
	}
	v.previewUpload(http.StatusOK, "", o, id, strings.Join(list.Ignored, v.tongue.Say("、", ", ")))
}

// fileName is as much of what a file is called as is kept.
func fileName(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, path.Base(strings.ReplaceAll(text, `\`, "/")))
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60])
	}
	return text
}

func showUpload(v *visit) {
	if o, ok := v.office(); ok {
		v.previewUpload(http.StatusOK, "", o, v.r.PathValue("id"), "")
	}
}

func (v *visit) previewUpload(status int, notice string, o office, id, ignored string) {
	u, d, err := v.store.ShowUpload(v.ctx(), o.Site, id, v.now)
	if errors.Is(err, store.ErrNoUpload) || err == nil && u.Company != o.OwnID() {
		v.missing()
		return
	}
	page := uploadPage{office: o, Upload: u, Diff: d, Ignored: ignored, Listed: listedLines}
	if err == nil {
		page.Sum = d.Sum()
		page.Shifts, err = v.unplanned(o.Site, d)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "preview", notice, page)
}

// unplanned are shifts of an upload that a site's plan does not have.
func (v *visit) unplanned(site string, d store.Difference) (names []string, err error) {
	plan, err := v.store.ShiftPlan(v.ctx(), site, v.today(site))
	planned := map[string]bool{"": true}
	for _, shift := range plan.Shifts {
		planned[shift.Name] = true
	}
	look := func(name string) {
		if !planned[name] {
			planned[name] = true
			names = append(names, name)
		}
	}
	for _, row := range d.Added {
		look(row.Shift)
	}
	for _, r := range d.Changed {
		look(r.After.Shift)
	}
	return names, err
}

func changeUpload(v *visit) {
	o, ok := v.office()
	if !ok {
		return
	}
	id, by := v.r.PathValue("id"), accounts.AuthorOf(v.r, v.account)
	if o.Closed() {
		v.uploadsPage(http.StatusForbidden, v.tongue.Suspended(), o)
		return
	}
	mine, err := v.mayChange(o, id)
	if err == nil && !mine {
		v.missing()
		return
	}
	what := v.r.PathValue("what")
	switch {
	case err != nil:
	case what == "apply":
		var pseudonym func(string) string
		if pseudonym, err = v.passes.Pseudonym(v.ctx(), o.Site); err == nil {
			_, err = v.store.ApplyUpload(v.ctx(), o.Site, id, v.r.FormValue("sum"), pseudonym, by, v.now)
		}
	case what == "undo":
		err = v.store.UndoUpload(v.ctx(), o.Site, id, by, v.now)
	case what == "drop":
		err = v.store.DropUpload(v.ctx(), o.Site, id)
	default:
		v.missing()
		return
	}
	switch {
	case errors.Is(err, store.ErrChanged):
		v.previewUpload(http.StatusConflict, v.tongue.Say("名单刚刚有变化，请再看一次。", "The list was changed meanwhile. Look again."), o, id, "")
	case errors.Is(err, store.ErrNotLast):
		v.uploadsPage(http.StatusConflict, v.tongue.Say("不能撤销：之后名单又改过。请先撤销后面的。", "It can't be undone: the list was changed after it. Undo the later ones first."), o)
	case errors.Is(err, store.ErrNoUpload):
		v.uploadsPage(http.StatusConflict, v.tongue.Say("没有这次上传，或者已超过一天。", "There is no such upload, or it is more than a day old."), o)
	case err != nil:
		v.fail(err)
	default:
		v.redirect(o.At("/people/upload"))
	}
}

// mayChange tells whether an upload is of the visitor's own list.
func (v *visit) mayChange(o office, id string) (bool, error) {
	u, err := v.store.Upload(v.ctx(), o.Site, id)
	if errors.Is(err, store.ErrNoUpload) {
		return false, nil
	}
	return err == nil && (o.Own == nil || u.Company == o.Own.ID), err
}

// fileProblem says why a file is no list, and what to do.
func (v *visit) fileProblem(err error) string {
	var large *http.MaxBytesError
	var why roster.FileError
	switch {
	case errors.As(err, &large):
		why = roster.TooLong
	case !errors.As(err, &why):
		return v.tongue.Say("没有收到文件，请选择一个 CSV 或 XLSX 文件。", "No file came: choose one, CSV or XLSX.")
	}
	if p, known := fileProblems[why]; known {
		return v.tongue.of(p)
	}
	return fmt.Sprint(why)
}

var fileProblems = map[roster.FileError]phrase{
	roster.Empty:     {"文件是空的。", "The file is empty."},
	roster.TooLong:   {"文件太大：最多 8 MB、5 万行。请分成几个文件。", "The file is too large: 8 MB and 50,000 lines at most. Send it in parts."},
	roster.NoTitles:  {"前 10 行里没有找到“工号”和“姓名”两列的标题。", "No titles of the columns “number” and “name” are within the first 10 lines."},
	roster.NotText:   {"文字编码认不出：请另存为 UTF-8 的 CSV，或 XLSX。", "Its text can't be read: save it as CSV in UTF-8, or as XLSX."},
	roster.OldSheet:  {"这是旧格式（XLS）或加了密码的文件：请去掉密码，另存为 XLSX 或 CSV。", "It is of the old format (XLS), or has a password: take that off, and save it as XLSX or CSV."},
	roster.Broken:    {"文件已损坏，或不是 CSV、XLSX。", "The file is damaged, or neither CSV nor XLSX."},
	roster.Exploding: {"文件解开后太大，没有读取。", "The file is far larger when it is opened, and was not read."},
}

// refusals say why a line is passed over.
var refusals = map[store.Unfit]phrase{
	roster.NoNumber:       {"没有工号", "no number"},
	roster.BadNumber:      {"工号只能有字母、数字和 . _ / -，最多 32 个", "a number has letters, digits and . _ / -, 32 at most"},
	roster.RoundedNumber:  {"工号被表格改写了：请把这一列设为文本", "the spreadsheet has rewritten the number: make the column text"},
	roster.TwiceNumber:    {"这个工号在文件里出现过了", "the number is in the file already"},
	roster.NoName:         {"没有姓名", "no name"},
	roster.BadText:        {"太长，或有换行或不能用的字符，或像公式", "too long, of several lines, not printable, or like a formula"},
	roster.UnknownCompany: {"没有登记这家公司", "the company is not known here"},
	store.NumberLeft:      {"已离开的另一个人用过这个工号：请先在“已离开”里删除那个人", "somebody of another name had this number, and has left: delete them first, among those who have left"},
	store.NumberTaken:     {"这个工号是别家的人的，或曾经是；请厂区处理", "somebody of another company has this number, or had it: ask the site"},
}

// Refusal says why a line is passed over.
func (t tongue) Refusal(why store.Unfit) string { return t.of(refusals[why]) }
