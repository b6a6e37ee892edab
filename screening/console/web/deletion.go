package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
)

// typedLength is how much of an event's id somebody types to say that this one is meant.
const typedLength = 6

type deletionPage struct {
	store.Event
	SHA256 string
	Typed  string // what is to be typed
	Holds  []store.Hold
	Open   bool // its alert is not closed
	Others int  // events about the same person
	Reason string
}

// gone is the page of an event that somebody has deleted, or says that there never was one.
func (v *visit) gone(id string) {
	d, err := v.store.Deletion(v.ctx(), id)
	switch {
	case errors.Is(err, store.ErrNoEvent), err == nil && !v.account.Sees(d.Gate):
		v.missing()
	case err != nil:
		v.fail(err)
	default:
		v.showWith(http.StatusGone, "deleted", "", d)
	}
}

// eventInScope is the event that the address names; false where the answer is given.
func (v *visit) eventInScope() (store.Event, bool) {
	e, err := v.store.Event(v.ctx(), v.r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrNoEvent):
		v.gone(v.r.PathValue("id"))
	case err != nil:
		v.fail(err)
	case !v.account.Sees(e.Gate):
		v.missing()
	default:
		return e, true
	}
	return store.Event{}, false
}

func exportEvent(v *visit) {
	e, ok := v.eventInScope()
	if !ok {
		return
	}
	line := store.AuditLine{At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.Exported, About: e.ID, Scope: e.Gate, Detail: v.r.URL.Path}
	if err := v.store.Note(v.ctx(), line); err != nil {
		v.fail(err)
		return
	}
	var whole bytes.Buffer
	if err := v.store.ExportEvent(v.ctx(), e.ID, &whole); err != nil {
		v.fail(err)
		return
	}
	_, _ = v.attach("event-"+e.ID+".json", "application/json").Write(whole.Bytes()) // a browser that is gone needs no answer
}

func showDeletion(v *visit) {
	if e, ok := v.eventInScope(); ok {
		v.deletionPage(http.StatusOK, "", e)
	}
}

func (v *visit) deletionPage(status int, notice string, e store.Event) {
	page := deletionPage{Event: e, Typed: e.ID[len(e.ID)-typedLength:], Reason: strings.TrimSpace(v.r.FormValue("reason"))}
	_, sum, err := v.store.Record(v.ctx(), e.ID)
	page.SHA256 = sum
	if err == nil {
		page.Holds, err = v.store.HoldsOn(v.ctx(), e)
	}
	var visits []store.Event
	if err == nil {
		visits, err = v.store.Visit(v.ctx(), e.Gate, e.Visit)
		page.Others = max(0, len(visits)-1)
	}
	var alert *store.Alert
	if err == nil {
		alert, err = v.store.AlertOf(v.ctx(), e)
		page.Open = alert != nil && alert.State != store.Closed && (alert.Event == e.ID || alert.Latest == e.ID)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "delete", notice, page)
}

func deleteEvent(v *visit) {
	e, ok := v.eventInScope()
	if !ok {
		return
	}
	reason := strings.TrimSpace(v.r.FormValue("reason"))
	switch {
	case reason == "" || len(reason) > maxReason:
		v.deletionPage(http.StatusUnprocessableEntity, v.tongue.Say("请写明删除的原因（最多 160 个字）。", "Say why it is deleted, in at most 160 characters."), e)
		return
	case !strings.EqualFold(strings.TrimSpace(v.r.FormValue("typed")), e.ID[len(e.ID)-typedLength:]):
		v.deletionPage(http.StatusUnprocessableEntity, v.tongue.Say("没有删除：输入的编号不对。", "Nothing was deleted: what you typed is not the end of its number."), e)
		return
	}
	d, err := v.store.DeleteEvent(v.ctx(), e.ID, v.r.FormValue("sha256"), reason, accounts.AuthorOf(v.r, v.account), v.now)
	switch {
	case errors.Is(err, store.ErrHeld):
		v.deletionPage(http.StatusConflict, v.tongue.Say("没有删除：此记录已被冻结。", "Nothing was deleted: a legal hold keeps the event."), e)
	case errors.Is(err, store.ErrOpen):
		v.deletionPage(http.StatusConflict, v.tongue.Say("没有删除：告警还没有关闭。", "Nothing was deleted: its alert is not closed yet."), e)
	case errors.Is(err, store.ErrChanged):
		v.deletionPage(http.StatusConflict, v.tongue.Say("没有删除：记录刚刚有变化，请再看一次，并重新导出。", "Nothing was deleted: the event was changed meanwhile. Look again, and export it anew."), e)
	case err != nil:
		v.fail(err)
	default:
		v.log.Info("an event was deleted", "event", d.Event, "by", d.By, "sha256", d.SHA256)
		v.redirect("/events/" + d.Event)
	}
}

// deletionText says what became of an event that is not there any more.
func (p page) DeletionText(d store.Deletion) string {
	if d.By == "" {
		return fmt.Sprintf(p.Say("此记录已于 %s 在厂区删除；谁删的、为什么，只有厂区知道。", "This event was deleted in its plant %s. Who did it and why, only the plant knows."), p.At(d.At, d.Gate))
	}
	return fmt.Sprintf(p.Say("此记录已于 %s 被 %s 删除。原因：%s", "This event was deleted %s by %s. Why: %s"), p.At(d.At, d.Gate), d.By, d.Reason)
}
