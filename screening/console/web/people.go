package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/cards"
	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/console/table"
)

// listedPeople is how many people a page has.
const listedPeople = 100

// maxIssued is for how many people codes are issued at once.
const maxIssued = 20_000

// office is what somebody who keeps lists of people works on: those of a site, or of one company of it.
type office struct {
	Site  string
	Sites []string
	// Own is the company whose log-in it is; nil where all of the site is theirs.
	Own       *store.Company
	Companies []store.Company
}

// Closed tells whether the company may change nothing now.
func (o office) Closed() bool { return o.Own != nil && o.Own.State == store.Suspended }

// Suspended is for a company that is Closed.
func (t tongue) Suspended() string {
	return t.Say("贵公司已被暂停，请联系厂区。", "Your company is suspended. Ask the site.")
}

// OwnID is the id of the company whose log-in it is; empty for a site's.
func (o office) OwnID() string {
	if o.Own == nil {
		return ""
	}
	return o.Own.ID
}

// CompanyName is what a company is called.
func (o office) CompanyName(id string) string {
	for _, c := range o.Companies {
		if c.ID == id {
			return c.Name
		}
	}
	return ""
}

// At is an address of this site.
func (o office) At(path string) string { return path + "?" + url.Values{"site": {o.Site}}.Encode() }

// office is that of the visitor. Where it answers by itself, ok is false.
func (v *visit) office() (o office, ok bool) {
	if o.Site, o.Sites, ok = v.site(); !ok {
		return o, false
	}
	var err error
	if o.Companies, err = v.store.Companies(v.ctx(), o.Site); err != nil {
		v.fail(err)
		return o, false
	}
	if v.account.Role != store.OfCompany {
		return o, true
	}
	i := slices.IndexFunc(o.Companies, func(c store.Company) bool { return c.ID == v.account.Company })
	if i < 0 {
		v.missing()
		return o, false
	}
	o.Own = &o.Companies[i]
	o.Companies = o.Companies[i : i+1] // of others it knows nothing
	return o, true
}

// showHome is where somebody begins.
func showHome(v *visit) {
	if v.account.Role == store.Personnel || v.account.Role == store.OfCompany {
		v.redirect("/people")
		return
	}
	showNow(v)
}

// peoplePage is a site's list of people, page by page.
type peoplePage struct {
	office
	Query  peopleQuery
	People []store.Person
	Count  int
	Next   string // address; empty where this is the last page
	Shifts []string
	From   string // the days from and to which codes are proposed to be good
	To     string
	Done   string // what was just done
	Asked  int    // people for whom their companies ask for a code
	Font   bool   // cards can be printed here
	Untold bool   // too many codes are revoked: gates are not told
	Keys   *passes.Shown
	Behind []store.Gate // whose keys are not those
	// Kind is of the key that was to be changed, and Ends whether codes were to be void, where that was refused.
	Kind store.KeyKind
	Ends bool
}

// peopleQuery is the filter as it stands in the address.
type peopleQuery struct{ Text, Company, Shift, State, After string }

// ownPeople is the value of the filter for the site's own people.
const ownPeople = "own"

func (q peopleQuery) filter(o office) store.PeopleFilter {
	f := store.PeopleFilter{Site: o.Site, Text: q.Text, Shift: q.Shift, NoCode: q.State == "no-code", Asked: q.State == "asked", Left: q.State == "left", After: q.After}
	switch {
	case o.Own != nil:
		f.Company = &o.Own.ID
	case q.Company == ownPeople:
		f.Company = new(string)
	case q.Company != "":
		f.Company = &q.Company
	}
	return f
}

func (q peopleQuery) values(site string) url.Values {
	values := url.Values{"site": {site}}
	for key, value := range map[string]string{"text": q.Text, "company": q.Company, "shift": q.Shift, "state": q.State} {
		if value != "" {
			values.Set(key, value)
		}
	}
	return values
}

func (v *visit) peopleQuery() peopleQuery {
	form := func(key string) string { return strings.TrimSpace(v.r.FormValue(key)) }
	return peopleQuery{form("text"), form("company"), form("shift"), form("state"), form("after")}
}

func showPeople(v *visit) {
	if o, ok := v.office(); ok {
		v.peoplePage(http.StatusOK, "", peoplePage{office: o})
	}
}

func (v *visit) peoplePage(status int, notice string, page peoplePage) {
	page.Query, page.Font = v.peopleQuery(), cards.FontFile() != ""
	page.From, page.To = v.year(page.Site)
	if from, to := v.r.FormValue("from"), v.r.FormValue("to"); from != "" && to != "" {
		page.From, page.To = from, to
	}
	filter := page.Query.filter(page.office)
	var err error
	if page.Count, err = v.store.CountPeople(v.ctx(), filter, v.now); err == nil {
		page.People, err = v.store.People(v.ctx(), filter, v.now, listedPeople+1)
	}
	if err == nil && page.Own == nil {
		page.Asked, err = v.store.CountPeople(v.ctx(), store.PeopleFilter{Site: page.Site, Asked: true}, v.now)
	}
	if err == nil && page.Own == nil {
		var told store.PassList
		told, err = v.store.PassList(v.ctx(), page.Site)
		page.Untold = len(told.Signed) > passes.MaxList
	}
	if err == nil && page.Own == nil {
		var shown passes.Shown
		var there bool
		if shown, there, err = v.passes.Shown(v.ctx(), page.Site); there {
			page.Keys = &shown
			page.Behind, err = v.behind(page.Site)
		}
	}
	var plan store.ShiftPlan
	if err == nil {
		plan, err = v.store.ShiftPlan(v.ctx(), page.Site, v.today(page.Site))
	}
	if err != nil {
		v.fail(err)
		return
	}
	for _, shift := range plan.Shifts {
		page.Shifts = append(page.Shifts, shift.Name)
	}
	if len(page.People) > listedPeople {
		page.People = page.People[:listedPeople]
		values := page.Query.values(page.Site)
		values.Set("after", page.People[listedPeople-1].Number)
		page.Next = "/people?" + values.Encode()
	}
	v.showWith(status, "people", notice, page)
}

// chosen are the people that a form is about: those that are ticked, or all that its filter lets through. Where it answers by
// itself, ok is false.
func (v *visit) chosen(o office) (people []store.Person, ok bool) {
	filter := v.peopleQuery().filter(o)
	filter.After = ""
	all, err := v.store.People(v.ctx(), filter, v.now, maxIssued+1)
	if err != nil {
		v.fail(err)
		return nil, false
	}
	if v.r.FormValue("all") == "" {
		ticked := map[string]bool{}
		for _, id := range v.r.Form["person"] {
			ticked[id] = true
		}
		all = slices.DeleteFunc(all, func(p store.Person) bool { return !ticked[p.ID] })
	}
	if len(all) > maxIssued {
		v.problem(http.StatusUnprocessableEntity, fmt.Sprintf(v.tongue.Say("一次最多 %d 人，请先筛选。", "That is more than %d people at once. Choose fewer by the filter."), maxIssued))
		return nil, false
	}
	return all, true
}

func changeCodes(v *visit) {
	o, ok := v.office()
	if !ok {
		return
	}
	what := v.r.PathValue("what")
	if o.Own == nil && what == "key" {
		v.changeKey(o)
		return
	}
	mine := what == "cards" || what == "ask" && o.Own != nil || (what == "issue" || what == "revoke") && o.Own == nil
	if !mine {
		v.missing()
		return
	}
	people, ok := v.chosen(o)
	if !ok {
		return
	}
	switch {
	case len(people) == 0:
		v.peoplePage(http.StatusUnprocessableEntity, v.tongue.Say("没有选中任何人。", "Nobody is chosen."), peoplePage{office: o})
	case o.Closed():
		v.peoplePage(http.StatusForbidden, v.tongue.Suspended(), peoplePage{office: o})
	case what == "cards":
		v.sendCards(o, people)
	case what == "ask":
		v.askCodes(o, people)
	case what == "revoke":
		v.revokeCodes(o, people)
	default:
		v.issueCodes(o, people)
	}
}

func ids(people []store.Person) []string {
	all := make([]string, len(people))
	for i, p := range people {
		all[i] = p.ID
	}
	return all
}

func (v *visit) askCodes(o office, people []store.Person) {
	people = slices.DeleteFunc(people, func(p store.Person) bool { return p.HasCode })
	if err := v.store.AskCodes(v.ctx(), o.Site, o.Own.ID, ids(people), v.now); err != nil {
		v.fail(err)
		return
	}
	v.peoplePage(http.StatusOK, "", peoplePage{office: o, Done: v.tongue.Say("已申请通行码，人数：", "Codes are asked for, for so many people: ") + fmt.Sprint(len(people))})
}

func (v *visit) revokeCodes(o office, people []store.Person) {
	revoked, err := v.store.RevokeCodes(v.ctx(), o.Site, ids(people), accounts.AuthorOf(v.r, v.account), v.now)
	var told []byte
	if err == nil {
		told, err = v.passes.List(v.ctx(), o.Site, v.now)
	}
	if err != nil {
		v.fail(err)
		return
	}
	done := v.tongue.Say("已吊销通行码，两秒内各闸机拒绝。个数：", "Revoked; gates refuse them within 2 s. Codes: ")
	if len(told) > passes.MaxList {
		done = v.tongue.Say("已吊销通行码，但闸机还不知道。个数：", "Revoked, and not known to gates. Codes: ")
	}
	v.peoplePage(http.StatusOK, "", peoplePage{office: o, Done: done + fmt.Sprint(revoked)})
}

func (v *visit) issueCodes(o office, people []store.Person) {
	if v.r.FormValue("all") != "" { // one that somebody has stays good
		people = slices.DeleteFunc(people, func(p store.Person) bool { return p.HasCode })
	}
	zone := v.store.Zone(o.Site)
	from, fromErr := time.ParseInLocation(time.DateOnly, v.r.FormValue("from"), zone)
	to, toErr := time.ParseInLocation(time.DateOnly, v.r.FormValue("to"), zone)
	issued, err := 0, errors.Join(fromErr, toErr)
	if err == nil {
		issued, err = v.passes.Issue(v.ctx(), o.Site, people, from, to.AddDate(0, 0, 1), accounts.AuthorOf(v.r, v.account), v.now)
	} else {
		err = passes.ErrTime
	}
	switch {
	case errors.Is(err, passes.ErrTime):
		v.peoplePage(http.StatusUnprocessableEntity, v.tongue.Say("没有发码：有效期要在今天或以后结束，最长两年。", "Nothing was issued: codes end today or later, at most two years after they begin."), peoplePage{office: o})
	case err != nil:
		v.fail(err)
	default:
		done := v.tongue.Say("已发通行码，人数：", "Codes are issued, for so many people: ") + fmt.Sprint(issued)
		if left := len(people) - issued; left > 0 {
			done += fmt.Sprintf(v.tongue.Say("；%d 人没有：所属公司未批准，或那时不能来", "; not for %d, whose company is not approved or does not come then"), left)
		}
		v.peoplePage(http.StatusOK, "", peoplePage{office: o, Done: done})
	}
}

// changeKey has a new key take the place of one of the site's.
func (v *visit) changeKey(o office) {
	kind, ends := store.KeyKind(v.r.FormValue("kind")), v.r.FormValue("end") != ""
	if (kind != "" || ends) && strings.TrimSpace(v.r.FormValue("typed")) != o.Site {
		v.peoplePage(http.StatusUnprocessableEntity, v.tongue.Say("没有改动：请把厂区名称原样输入以确认，这一步不能撤回。", "Nothing was changed: type the name of the site as it is written, to confirm what can't be undone."), peoplePage{office: o, Kind: kind, Ends: ends})
		return
	}
	by := accounts.AuthorOf(v.r, v.account)
	var err error
	done := v.tongue.Say("已换签名密钥。", "Codes are signed by a new key from now on.")
	switch kind {
	case store.RootKey:
		err = v.passes.ChangeSiteKey(v.ctx(), o.Site, by, v.now)
		done = v.tongue.Say("已换厂区密钥。连着的闸机马上改用，其余的连上后改用；没跟上的列在“密钥…”里。请现在备份控制台。", "The site has a new key. Gates follow at once, or when they connect; Keys… names those that have not. Back up the console now.")
	case store.NumberKey:
		err = v.passes.ChangeNumberKey(v.ctx(), o.Site, by, v.now)
		done = v.tongue.Say("已换工号密钥。请现在备份控制台，再让每台闸机用新链接重新接入并重启。", "The site has a new number key. Back up the console now, then have each gate join again by a new link, and restart it.")
	case "":
	default:
		v.missing()
		return
	}
	if err == nil && (kind == "" || ends) { // whoever ticks that all codes are void means it, whichever key they chose
		err = v.changeCodesKey(o, ends, by)
	}
	if ends {
		done += v.tongue.Say("现在的通行码已全部作废。", " All codes of before are void.")
	}
	switch {
	case errors.Is(err, store.ErrChanged):
		v.peoplePage(http.StatusConflict, v.tongue.Say("没有改动：别人刚换了这个密钥。", "Nothing was changed: somebody else has just changed this key."), peoplePage{office: o})
	case errors.Is(err, passes.ErrKeys):
		v.peoplePage(http.StatusConflict, v.tongue.Say("没有改动：工号密钥不能再换了。", "Nothing was changed: a site can have no further number key."), peoplePage{office: o})
	case err != nil:
		v.fail(err)
	default:
		v.peoplePage(http.StatusOK, "", peoplePage{office: o, Done: done})
	}
}

// behind are the gates of a site that have other keys than it.
func (v *visit) behind(site string) ([]store.Gate, error) {
	gates, err := v.store.SiteGates(v.ctx(), site, v.now)
	return slices.DeleteFunc(gates, func(g store.Gate) bool { return g.Keys == "" || g.OutOfUse() }), err
}

// changeCodesKey has codes signed by a new key, and where the ones before end, all void.
func (v *visit) changeCodesKey(o office, ends bool, by store.Author) error {
	if !ends {
		return v.passes.Rotate(v.ctx(), o.Site, time.Time{}, by, v.now)
	}
	if err := v.passes.Rotate(v.ctx(), o.Site, v.now, by, v.now); err != nil {
		return err
	}
	all, err := v.store.People(v.ctx(), store.PeopleFilter{Site: o.Site}, v.now, -1)
	if err == nil {
		_, err = v.store.RevokeCodes(v.ctx(), o.Site, ids(all), by, v.now)
	}
	return err
}

// codeRow is a code with whose it is.
type codeRow struct {
	store.Person
	code    store.PassCode
	text    string
	company string
	zone    *time.Location
}

// codeRows are the good codes of people.
func (v *visit) codeRows(o office, people []store.Person) ([]codeRow, error) {
	good, err := v.store.GoodCodes(v.ctx(), o.Site, v.now)
	if err != nil {
		return nil, err
	}
	byID := map[string]store.Person{}
	var codes []store.PassCode
	for _, p := range people {
		if c, has := good[p.ID]; has {
			byID[p.ID] = p
			codes = append(codes, c)
		}
	}
	texts, err := v.passes.Texts(v.ctx(), o.Site, byID, codes)
	var rows []codeRow
	for _, c := range codes {
		p := byID[c.Person]
		rows = append(rows, codeRow{p, c, texts[c.Serial], o.CompanyName(p.Company), v.store.Zone(o.Site)})
	}
	return rows, err
}

// lastDay is the last day on which a code is good.
func (r codeRow) lastDay() string {
	return r.code.To.Add(-time.Second).In(r.zone).Format(time.DateOnly)
}

// sendCards is a PDF of cards, which whoever keeps the list prints and gives out.
func (v *visit) sendCards(o office, people []store.Person) {
	rows, err := v.codeRows(o, people)
	if err != nil {
		v.fail(err)
		return
	}
	switch {
	case len(rows) == 0:
		v.peoplePage(http.StatusUnprocessableEntity, v.tongue.Say("选中的人都没有有效的通行码。", "None of those chosen has a code that is good."), peoplePage{office: o})
		return
	case len(rows) > cards.Most:
		v.peoplePage(http.StatusUnprocessableEntity, fmt.Sprintf(v.tongue.Say("一个文件最多 %d 张卡，请先筛选。", "A file holds %d cards at most. Choose fewer by the filter."), cards.Most), peoplePage{office: o})
		return
	case cards.FontFile() == "":
		v.peoplePage(http.StatusServiceUnavailable, v.tongue.Say(
			"这台服务器没有打印通行卡的字体：请安装 Debian 软件包 fonts-droid-fallback，或者下载通行码清单（CSV），用别的程序打印。",
			"This server has no font for the cards: install the Debian package fonts-droid-fallback, or download the codes (CSV) and print them with a program of your own."), peoplePage{office: o})
		return
	}
	var all []cards.Card
	for _, r := range rows {
		card := cards.Card{Code: r.text, Name: r.Name, Number: r.Number}
		if r.company != "" {
			card.Lines = append(card.Lines, r.company)
		}
		card.Lines = append(card.Lines, v.tongue.Say("有效至 ", "good until ")+r.lastDay())
		all = append(all, card)
	}
	if err := v.noteExport(o, "cards.pdf", len(all)); err != nil {
		v.fail(err)
		return
	}
	if err := cards.Write(v.attach("cards.pdf", "application/pdf"), all); err != nil && v.ctx().Err() == nil {
		v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
	}
}

func (v *visit) noteExport(o office, file string, count int) error {
	line := store.AuditLine{At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.Exported, Scope: v.account.Scope, Detail: fmt.Sprintf("%s %s: %d", o.Site, file, count)}
	line.Scope.Site = o.Site
	return v.store.Note(v.ctx(), line)
}

var codeColumns = []table.Column[codeRow]{
	table.NewColumn("number", "工号", "Number", 14, func(r codeRow) table.Cell { return r.Number }),
	table.NewColumn("name", "姓名", "Name", 14, func(r codeRow) table.Cell { return r.Name }),
	table.NewColumn("company", "公司", "Company", 20, func(r codeRow) table.Cell { return r.company }),
	table.NewColumn("department", "部门", "Department", 16, func(r codeRow) table.Cell { return r.Department }),
	table.NewColumn("shift", "班次", "Shift", 10, func(r codeRow) table.Cell { return r.Shift }),
	table.NewColumn("from", "从", "From", 12, func(r codeRow) table.Cell { return r.code.From.In(r.zone).Format(time.DateOnly) }),
	table.NewColumn("until", "到", "Until", 12, func(r codeRow) table.Cell { return r.lastDay() }),
	table.NewColumn("code", "通行码", "Code", 60, func(r codeRow) table.Cell { return r.text }),
}

func downloadCodes(v *visit) {
	o, ok := v.office()
	if !ok {
		return
	}
	filter := v.peopleQuery().filter(o)
	filter.After = ""
	people, err := v.store.People(v.ctx(), filter, v.now, -1)
	var rows []codeRow
	if err == nil {
		rows, err = v.codeRows(o, people)
	}
	if err != nil {
		v.fail(err)
		return
	}
	file, err := table.NewCSV(v.attach("codes.csv", table.CSVType), codeColumns)
	for _, row := range rows {
		if err == nil {
			err = file.Add(row)
		}
	}
	if err == nil {
		err = file.End()
	}
	if err != nil && v.ctx().Err() == nil {
		v.log.Warn("a download broke off", "path", v.r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // a file that is not whole must not look as if it were
	}
}
