package web

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// listedPassages is how many of somebody's passages a page has.
const listedPassages = 200

// personPage is somebody on the list: codes, and when they were at which gate. No temperature stands beside a name.
type personPage struct {
	office
	Person   store.Person
	Codes    []store.PassCode
	Passages []store.Passage
	Days     int // for which it is kept who an event is about

	// Of the page that deletes them.
	SHA256 string
	Reason string
}

// person is the one that an address names. Where it answers by itself, ok is false.
func (v *visit) person() (o office, p store.Person, ok bool) {
	if o, ok = v.office(); !ok {
		return o, p, false
	}
	p, err := v.store.Person(v.ctx(), o.Site, v.r.PathValue("id"), v.now)
	if errors.Is(err, store.ErrNoPerson) {
		v.missing()
		return o, p, false
	}
	if err != nil {
		v.fail(err)
		return o, p, false
	}
	return o, p, true
}

func showPerson(v *visit) {
	o, p, ok := v.person()
	if !ok {
		return
	}
	page := personPage{office: o, Person: p, Days: v.store.KeepPeopleDays()}
	var err error
	if page.Codes, err = v.store.CodesOf(v.ctx(), o.Site, p.ID); err == nil {
		page.Passages, err = v.store.Passages(v.ctx(), p, listedPassages)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.show("person", page)
}

// exportPerson sends all that is kept of somebody, for themselves.
func exportPerson(v *visit) {
	o, p, ok := v.person()
	if !ok {
		return
	}
	line := store.AuditLine{At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.Exported, About: p.ID, Scope: mqtt.Gate{Site: o.Site}, Detail: v.r.URL.Path}
	if err := v.store.Note(v.ctx(), line); err != nil {
		v.fail(err)
		return
	}
	var whole bytes.Buffer
	if err := v.store.ExportPerson(v.ctx(), o.Site, p.ID, v.now, &whole); err != nil {
		v.fail(err)
		return
	}
	_, _ = v.attach("person.json", "application/json").Write(whole.Bytes()) // a browser that is gone needs no answer
}

func showForget(v *visit) {
	if o, p, ok := v.person(); ok {
		v.forgetPage(http.StatusOK, "", o, p)
	}
}

func (v *visit) forgetPage(status int, notice string, o office, p store.Person) {
	_, sum, err := v.store.PersonRecord(v.ctx(), o.Site, p.ID, v.now)
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "forget", notice, personPage{office: o, Person: p, SHA256: sum, Reason: strings.TrimSpace(v.r.FormValue("reason"))})
}

func forgetPerson(v *visit) {
	o, p, ok := v.person()
	if !ok {
		return
	}
	reason := strings.TrimSpace(v.r.FormValue("reason"))
	if reason == "" || len(reason) > maxReason {
		v.forgetPage(http.StatusUnprocessableEntity, v.tongue.Say("请写明删除的原因（最多 160 个字）。", "Say why the person is deleted, in at most 160 characters."), o, p)
		return
	}
	if !strings.EqualFold(strings.TrimSpace(v.r.FormValue("typed")), p.Number) {
		v.forgetPage(http.StatusUnprocessableEntity, v.tongue.Say("没有删除：输入的工号不对。", "Nobody was deleted: what you typed is not their number."), o, p)
		return
	}
	f, err := v.store.ForgetPerson(v.ctx(), o.Site, p.ID, v.r.FormValue("sha256"), reason, accounts.AuthorOf(v.r, v.account), v.now)
	switch {
	case errors.Is(err, store.ErrHeld):
		v.forgetPage(http.StatusConflict, v.tongue.Say("没有删除：此人的一些记录已被冻结。", "Nobody was deleted: a legal hold keeps events of theirs."), o, p)
	case errors.Is(err, store.ErrChanged):
		v.forgetPage(http.StatusConflict, v.tongue.Say("没有删除：记录刚刚有变化，请再看一次，并重新导出。", "Nobody was deleted: what is kept of them has changed meanwhile. Look again, and export it anew."), o, p)
	case err != nil:
		v.fail(err)
	default:
		v.log.Info("a person was deleted", "person", f.ID, "by", f.By, "sha256", f.SHA256)
		v.redirect(o.At("/people/protection") + "#deleted")
	}
}
