package web

import (
	"errors"
	"net/http"
	"strings"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// companiesPage is the companies whose people come to a site.
type companiesPage struct {
	office
	LogIns map[string][]store.Account // by company
	Form   map[string]string
	New    string // account that just got a password
	Once   string // the password for its next log-in; it is shown once
	Today  string
	Year   string // a day a year from now
}

func showCompanies(v *visit) {
	if o, ok := v.office(); ok {
		v.companiesPage(http.StatusOK, "", companiesPage{office: o})
	}
}

func (v *visit) companiesPage(status int, notice string, page companiesPage) {
	var err error
	if page.Companies, err = v.store.Companies(v.ctx(), page.Site); err != nil {
		v.fail(err)
		return
	}
	all, err := v.store.Accounts(v.ctx())
	if err != nil {
		v.fail(err)
		return
	}
	page.LogIns = map[string][]store.Account{}
	for _, a := range all {
		if a.Role == store.OfCompany && a.Scope.Site == page.Site {
			page.LogIns[a.Company] = append(page.LogIns[a.Company], a)
		}
	}
	page.Today, page.Year = v.year(page.Site)
	if page.Form == nil {
		page.Form = map[string]string{}
	}
	v.showWith(status, "companies", notice, page)
}

func changeCompanies(v *visit) {
	o, ok := v.office()
	if !ok {
		return
	}
	if o.Site == "" {
		v.missing()
		return
	}
	switch v.r.PathValue("what") {
	case "ask":
		v.askCompany(o)
	case "approve", "suspend":
		v.decideCompany(o)
	case "login":
		v.addCompanyLogIn(o)
	case "renew", "lock", "unlock":
		v.changeCompanyLogIn(o)
	default:
		v.missing()
	}
}

// dayOfForm reads a day that may be left empty.
func dayOfForm(text string) (store.Day, bool) {
	if text == "" {
		return 0, true
	}
	return parseDay(text)
}

func (v *visit) askCompany(o office) {
	form := map[string]string{}
	for _, key := range []string{"name", "short", "contact", "from", "until"} {
		form[key] = strings.TrimSpace(v.r.FormValue(key))
	}
	c := store.Company{Site: o.Site, Name: form["name"], Short: form["short"], Contact: form["contact"]}
	var okFrom, okUntil bool
	c.From, okFrom = dayOfForm(form["from"])
	c.Until, okUntil = dayOfForm(form["until"])
	_, err := "", error(store.UnfitError(""))
	if okFrom && okUntil {
		_, err = v.store.AskCompany(v.ctx(), c, accounts.AuthorOf(v.r, v.account), v.now)
	}
	var unfit store.UnfitError
	switch {
	case errors.As(err, &unfit):
		v.companiesPage(http.StatusUnprocessableEntity, v.tongue.Say("没有保存：要有公司名称；简称最多 16 个英文字母、数字、点、横线；最后一天不能早于第一天。", "Not kept: a company has a name; its short name has up to 16 letters, digits, dots and dashes; the last day is not before the first."), companiesPage{office: o, Form: form})
	case errors.Is(err, store.ErrCompanyTaken):
		v.companiesPage(http.StatusConflict, v.tongue.Say("已有这个名称或简称的公司。", "There is a company with this name or short name."), companiesPage{office: o, Form: form})
	case err != nil:
		v.fail(err)
	default:
		v.redirect(o.At("/people/companies"))
	}
}

func (v *visit) decideCompany(o office) {
	c := store.Company{Site: o.Site, ID: v.r.FormValue("company"), State: store.Approved, Reason: strings.TrimSpace(v.r.FormValue("reason"))}
	if v.r.PathValue("what") == "suspend" {
		c.State = store.Suspended
		before, err := v.store.Company(v.ctx(), o.Site, c.ID)
		if errors.Is(err, store.ErrNoCompany) {
			v.missing()
			return
		}
		if err != nil {
			v.fail(err)
			return
		}
		c.From, c.Until = before.From, before.Until
	}
	okFrom, okUntil := true, true
	if c.State == store.Approved {
		c.From, okFrom = dayOfForm(v.r.FormValue("from"))
		c.Until, okUntil = dayOfForm(v.r.FormValue("until"))
		c.Reason = ""
	}
	err := error(store.UnfitError(""))
	if okFrom && okUntil {
		err = v.store.DecideCompany(v.ctx(), c, accounts.AuthorOf(v.r, v.account), v.now)
	}
	var unfit store.UnfitError
	switch {
	case errors.As(err, &unfit):
		v.companiesPage(http.StatusUnprocessableEntity, v.tongue.Say("没有改动：最后一天不能早于第一天；暂停要写明原因。", "Nothing was changed: the last day is not before the first, and a suspension has a reason."), companiesPage{office: o})
	case errors.Is(err, store.ErrNoCompany):
		v.missing()
	case err != nil:
		v.fail(err)
	default:
		v.redirect(o.At("/people/companies"))
	}
}

// addCompanyLogIn makes an account that sees the people of one company.
func (v *visit) addCompanyLogIn(o office) {
	company, err := v.store.Company(v.ctx(), o.Site, v.r.FormValue("company"))
	if errors.Is(err, store.ErrNoCompany) {
		v.missing()
		return
	}
	var once string
	account := store.Account{
		Name: strings.TrimSpace(v.r.FormValue("name")), FullName: strings.TrimSpace(v.r.FormValue("full")), Role: store.OfCompany,
		Scope: mqtt.Gate{Site: o.Site}, Company: company.ID,
	}
	if err == nil {
		once, err = v.accounts.Add(v.ctx(), account, accounts.AuthorOf(v.r, v.account))
	}
	v.companyLogIn(o, account.Name, once, err)
}

func (v *visit) companyLogIn(o office, name, once string, err error) {
	var unfit accounts.UnfitError
	switch {
	case errors.Is(err, store.ErrAccountTaken):
		v.companiesPage(http.StatusConflict, v.tongue.Say("用户名或姓名已被使用。", "There is an account with this name or user name."), companiesPage{office: o})
	case errors.As(err, &unfit):
		v.companiesPage(http.StatusUnprocessableEntity, unfit.Error(), companiesPage{office: o})
	case err != nil:
		v.fail(err)
	default:
		v.companiesPage(http.StatusOK, "", companiesPage{office: o, New: name, Once: once})
	}
}

// changeCompanyLogIn gives the log-in of a company another password, or keeps it out.
func (v *visit) changeCompanyLogIn(o office) {
	name := v.r.FormValue("name")
	account, err := v.store.Account(v.ctx(), name)
	if errors.Is(err, store.ErrNoAccount) || err == nil && (account.Role != store.OfCompany || account.Scope.Site != o.Site) {
		v.missing()
		return
	}
	by := accounts.AuthorOf(v.r, v.account)
	once := ""
	switch what := v.r.PathValue("what"); {
	case err != nil:
	case what == "renew":
		once, err = v.accounts.Renew(v.ctx(), name, by)
	default:
		err = v.store.SetLocked(v.ctx(), name, what == "lock", by)
	}
	v.companyLogIn(o, name, once, err)
}
