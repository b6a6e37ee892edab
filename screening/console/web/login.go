package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/listen"
)

type loginPage struct {
	Name    string
	To      string // where to go on
	Company bool   // people can log in with their company's accounts, too
}

func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	if _, err := p.accounts.Of(r); err == nil {
		v.redirect("/")
		return
	}
	v.showLogin(http.StatusOK, "", loginPage{To: listen.OwnPath(r.FormValue("to"))})
}

func (v *visit) showLogin(status int, notice string, page loginPage) {
	page.Company = v.accounts.HasProvider()
	v.showWith(status, "login", notice, page)
}

// leaveForProvider sends a browser to where people log in with their company's accounts.
func (p *Pages) leaveForProvider(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	to := listen.OwnPath(r.FormValue("to"))
	address, err := p.accounts.Leave(w, r, to)
	v.afterLogIn(address, err, loginPage{To: to})
}

// returnFromProvider lets in who comes back from there.
func (p *Pages) returnFromProvider(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	to, err := p.accounts.Return(r)
	v.afterLogIn(to, err, loginPage{To: "/"})
}

// afterLogIn goes on, or says on the page of the log-in why not.
func (v *visit) afterLogIn(to string, err error, page loginPage) {
	if err == nil {
		v.redirect(to)
		return
	}
	status, notice := v.loginError(err)
	if status == 0 {
		v.fail(err)
		return
	}
	v.showLogin(status, notice, page)
}

func (p *Pages) logIn(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	name, to := strings.TrimSpace(r.FormValue("name")), listen.OwnPath(r.FormValue("to"))
	v.afterLogIn(to, p.accounts.LogIn(w, r, name, r.FormValue("password")), loginPage{Name: name, To: to})
}

// loginError says why a log-in was refused; status is 0 for what is not the visitor's doing.
func (v *visit) loginError(err error) (status int, notice string) {
	var rest *accounts.RestError
	var lacks accounts.PasswordError
	switch {
	case errors.As(err, &rest):
		minutes := int(time.Until(rest.Until).Minutes()) + 1
		return http.StatusTooManyRequests, fmt.Sprintf(v.tongue.Say("密码错误次数太多，请 %d 分钟后再试，或请管理员重设密码。",
			"Too many wrong passwords. Try again in %d min, or ask an administrator for a new one."), minutes)
	case errors.Is(err, listen.ErrTooManyTries), errors.Is(err, accounts.ErrBusy):
		return http.StatusTooManyRequests, v.tongue.Say("登录的人太多，请稍后再试。", "Too many log-ins at once. Try again in a moment.")
	case errors.Is(err, accounts.ErrWrong):
		return http.StatusUnauthorized, v.tongue.Say("用户名或密码不对。", "Wrong name or password.")
	case errors.Is(err, accounts.ErrUnreachable):
		return http.StatusServiceUnavailable, v.tongue.Say("公司登录系统暂时连不上。有本地密码的账号仍可在此登录。",
			"Your company's log-in can't be reached now. Accounts with a password of this console still log in here.")
	case errors.Is(err, accounts.ErrStale):
		return http.StatusBadRequest, v.tongue.Say("这次公司登录已过期或已用过，请重新点“公司账号登录”。", "This log-in is too old, or was used before. Begin again with your company's account.")
	case errors.Is(err, accounts.ErrDenied):
		return http.StatusForbidden, v.tongue.Say("公司登录系统没有放行，请重试；仍不行请找管理员看控制台日志。",
			"Your company's log-in did not let you through. Try again; if it stays so, an administrator finds the reason in the console's log.")
	case errors.Is(err, accounts.ErrNoGroup):
		return http.StatusForbidden, v.tongue.Say("您的公司账号没有使用此控制台的权限，请让管理员把您加入相应的组。",
			"Your company's account may not use this console. Ask an administrator for one of the groups that may.")
	case errors.Is(err, accounts.ErrLocked):
		return http.StatusForbidden, v.tongue.Say("您的账号已被锁定，请找管理员。", "Your account is locked. Ask an administrator.")
	case errors.As(err, &lacks):
		return http.StatusUnprocessableEntity, map[accounts.PasswordError]string{
			accounts.TooShort:  v.tongue.Say("新密码至少 10 个字符。", "The new password needs 10 characters at least."),
			accounts.TooLong:   v.tongue.Say("新密码太长。", "The new password is too long."),
			accounts.TooSimple: v.tongue.Say("新密码太简单：不要重复一个字符，也不要包含用户名。", "The new password is too simple: not one character over and over, and without your user name."),
			accounts.Unchanged: v.tongue.Say("新密码和旧密码一样。", "The new password is the old one."),
		}[lacks]
	}
	return 0, ""
}

func (p *Pages) logOut(w http.ResponseWriter, r *http.Request) {
	address, err := p.accounts.LogOut(r)
	if err != nil {
		p.log.Error("a session can't be ended", "error", err)
	}
	if address == "" {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	w.Header().Set("Refresh", "0; url="+address) // the policy on forms keeps a redirect from leading elsewhere
	v.show("logout", address)
}

func showPassword(v *visit) { v.show("password", nil) }

func changePassword(v *visit) {
	old, password := v.r.FormValue("old"), v.r.FormValue("password")
	if password != v.r.FormValue("again") {
		v.showWith(http.StatusUnprocessableEntity, "password", v.tongue.Say("两次输入的新密码不一样。", "The two new passwords differ."), nil)
		return
	}
	err := v.accounts.ChangePassword(v.w, v.r, v.account, old, password)
	if err == nil {
		v.redirect("/")
		return
	}
	status, notice := v.loginError(err)
	if status == 0 {
		v.fail(err)
		return
	}
	v.showWith(status, "password", notice, nil)
}
