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
	Name string
	To   string // where to go on
}

func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	if _, err := p.accounts.Of(r); err == nil {
		v.redirect("/")
		return
	}
	v.show("login", loginPage{To: ownPath(r.FormValue("to"))})
}

// ownPath is a path of these pages, and nobody else's.
func ownPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return to
}

func (p *Pages) logIn(w http.ResponseWriter, r *http.Request) {
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	name, to := strings.TrimSpace(r.FormValue("name")), ownPath(r.FormValue("to"))
	err := p.accounts.LogIn(w, r, name, r.FormValue("password"))
	if err == nil {
		v.redirect(to)
		return
	}
	status, notice := v.loginError(err)
	if status == 0 {
		v.fail(err)
		return
	}
	v.showWith(status, "login", notice, loginPage{Name: name, To: to})
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
	case errors.As(err, &lacks):
		return http.StatusUnprocessableEntity, map[accounts.PasswordError]string{
			accounts.TooShort:  v.tongue.Say("新密码至少 10 个字符。", "The new password needs 10 characters at least."),
			accounts.TooLong:   v.tongue.Say("新密码太长。", "The new password is too long."),
			accounts.TooSimple: v.tongue.Say("新密码太简单：不要重复一个字符，也不要包含用户名。", "The new password is too simple: neither one character over and over, nor your name."),
			accounts.Unchanged: v.tongue.Say("新密码和旧密码一样。", "The new password is the old one."),
		}[lacks]
	}
	return 0, ""
}

func (p *Pages) logOut(w http.ResponseWriter, r *http.Request) {
	if err := p.accounts.LogOut(r); err != nil {
		p.log.Error("a session can't be ended", "error", err)
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
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
