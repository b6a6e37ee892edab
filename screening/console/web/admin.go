package web

import (
	"errors"
	"net/http"
	"strings"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

type accountsPage struct {
	Accounts []store.Account
	Gates    []mqtt.Gate
	Sites    []string
	Roles    []store.Role
	New      string // account that just got a password
	Once     string // the password for its next log-in; it is shown once
	Form     map[string]string
}

func showAccounts(v *visit) { v.accountsPage(http.StatusOK, "", accountsPage{}) }

func (v *visit) accountsPage(status int, notice string, page accountsPage) {
	all, err := v.store.Accounts(v.ctx())
	if err != nil {
		v.fail(err)
		return
	}
	for _, a := range all {
		if v.administers(a) {
			page.Accounts = append(page.Accounts, a)
		}
	}
	if page.Sites, err = v.sitesInScope(); err == nil && !v.cfg.District {
		page.Gates, err = v.gatesInScope()
	}
	if err != nil {
		v.fail(err)
		return
	}
	page.Roles = []store.Role{store.Guard, store.Manager, store.Administrator}
	if !v.cfg.District { // which knows nobody's name
		page.Roles = append(page.Roles, store.Personnel)
	}
	v.showWith(status, "accounts", notice, page)
}

// administers tells whether an account is within the visitor's own scope.
func (v *visit) administers(a store.Account) bool {
	mine := v.account.Scope
	return mine.Site == "" || a.Scope.Site == mine.Site && (mine.Name == "" || a.Scope.Name == mine.Name)
}

func changeAccounts(v *visit) {
	name := strings.TrimSpace(v.r.FormValue("name"))
	if v.r.PathValue("what") == "add" {
		v.addAccount(name)
		return
	}
	account, err := v.store.Account(v.ctx(), name)
	if errors.Is(err, store.ErrNoAccount) || err == nil && !v.administers(account) {
		v.missing()
		return
	}
	var once string
	var unfit accounts.UnfitError
	by := accounts.AuthorOf(v.r, v.account)
	switch what := v.r.PathValue("what"); {
	case err != nil:
	case what == "renew":
		once, err = v.accounts.Renew(v.ctx(), name, by)
	case what == "lock", what == "unlock":
		err = v.store.SetLocked(v.ctx(), name, what == "lock", by)
	case what == "role":
		account.Role, account.Scope = store.Role(v.r.FormValue("role")), gateOf(v.r.FormValue("scope"))
		if !v.administers(account) {
			v.outOfScope(accountsPage{})
			return
		}
		err = v.accounts.SetRole(v.ctx(), name, account.Role, account.Scope, by)
	default:
		v.missing()
		return
	}
	switch {
	case errors.Is(err, store.ErrLastOne):
		v.accountsPage(http.StatusConflict, v.tongue.Say("这是最后一个能用密码登录的全公司管理员，必须保留。", "It is the last administrator of the company who can log in with a password, and has to stay."), accountsPage{})
	case errors.Is(err, store.ErrElsewhere):
		v.accountsPage(http.StatusConflict, v.tongue.Say("此账号的角色由公司登录系统的组决定。", "The role of this account follows from its groups at the company."), accountsPage{})
	case errors.As(err, &unfit):
		v.accountsPage(http.StatusUnprocessableEntity, unfit.Error(), accountsPage{})
	case err != nil:
		v.fail(err)
	case once != "":
		v.log.Info("an account got a new password", "account", name, "by", v.account.Name)
		v.accountsPage(http.StatusOK, "", accountsPage{New: name, Once: once})
	default:
		v.log.Info("an account was changed", "account", name, "what", v.r.PathValue("what"), "by", v.account.Name)
		v.redirect("/admin/accounts")
	}
}

func (v *visit) outOfScope(page accountsPage) {
	v.accountsPage(http.StatusForbidden, v.tongue.Say("只能在您自己的范围内设账号。", "You can give accounts your own scope, or less of it."), page)
}

func (v *visit) addAccount(name string) {
	form := map[string]string{"name": name}
	for _, key := range []string{"full", "role", "scope"} {
		form[key] = strings.TrimSpace(v.r.FormValue(key))
	}
	account := store.Account{Name: name, FullName: form["full"], Role: store.Role(form["role"]), Scope: gateOf(form["scope"])}
	if !v.administers(account) {
		v.outOfScope(accountsPage{Form: form})
		return
	}
	var unfit accounts.UnfitError
	once, err := v.accounts.Add(v.ctx(), account, accounts.AuthorOf(v.r, v.account))
	switch {
	case errors.Is(err, store.ErrAccountTaken):
		v.accountsPage(http.StatusConflict, v.tongue.Say("用户名或姓名已被使用。", "There is an account with this name or user name."), accountsPage{Form: form})
	case errors.As(err, &unfit):
		v.accountsPage(http.StatusUnprocessableEntity, unfit.Error(), accountsPage{Form: form})
	case err != nil:
		v.fail(err)
	default:
		v.log.Info("an account was made", "account", name, "role", account.Role, "by", v.account.Name)
		v.accountsPage(http.StatusOK, "", accountsPage{New: name, Once: once})
	}
}
