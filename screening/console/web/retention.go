package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// deletionsShown is how many deletions the page lists.
const deletionsShown = 200

// maxReason is the length in bytes of the longest reason that the store takes.
const maxReason = 500

type retentionPage struct {
	Sites     []store.Keeping
	Default   int // months
	Gates     []mqtt.Gate
	Holds     []store.Hold
	Deletions []store.Deletion
	Company   bool // the visitor administers all sites
	Form      map[string]string
	Confirm   *shortening
	Clock     *store.ClockError // what is not believed of the console's own
}

// shortening is a retention that deletes events, and waits for somebody to say that this is meant.
type shortening struct {
	Site   string
	Months string
	Count  int
	More   bool // more than that
}

func showRetention(v *visit) {
	v.retentionPage(http.StatusOK, "", retentionPage{Form: map[string]string{"event": v.r.URL.Query().Get("event")}})
}

func (v *visit) retentionPage(status int, notice string, page retentionPage) {
	if page.Form == nil {
		page.Form = map[string]string{}
	}
	page.Company, page.Default, page.Clock = v.account.Scope.Site == "", v.store.KeepMonths(), v.store.ClockFault()
	sites, err := v.store.Keepings(v.ctx())
	for _, site := range sites {
		if v.account.Scope.Site == "" || v.account.Scope.Site == site.Site {
			page.Sites = append(page.Sites, site)
		}
	}
	if err == nil {
		page.Gates, err = v.gatesInScope()
	}
	var holds []store.Hold
	if err == nil {
		holds, err = v.store.Holds(v.ctx())
	}
	for _, h := range holds {
		if touch(h.Gate, v.account.Scope) {
			page.Holds = append(page.Holds, h)
		}
	}
	if err == nil {
		page.Deletions, err = v.store.Deletions(v.ctx(), v.account.Scope, deletionsShown)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.showWith(status, "retention", notice, page)
}

// touch tells whether two scopes have a gate in common.
func touch(a, b mqtt.Gate) bool {
	return (a.Site == "" || b.Site == "" || a.Site == b.Site) && (a.Name == "" || b.Name == "" || a.Name == b.Name)
}

// within tells whether a scope is the visitor's own, or less of it.
func (v *visit) within(scope mqtt.Gate) bool { return v.administers(store.Account{Scope: scope}) }

func changeRetention(v *visit) {
	switch v.r.PathValue("what") {
	case "months":
		v.changeMonths()
	case "outcome":
		v.changeOutcomeOnly()
	case "hold":
		v.addHold()
	case "end":
		v.endHold()
	case "clock":
		v.trustClock()
	default:
		v.missing()
	}
}

// siteOfForm is the site that a form is about, if the visitor administers all of it.
func (v *visit) siteOfForm() (site store.Keeping, ok bool) {
	sites, err := v.store.Keepings(v.ctx())
	if err != nil {
		v.fail(err)
		return site, false
	}
	for _, site := range sites {
		if site.Site == v.r.FormValue("site") && v.within(mqtt.Gate{Site: site.Site}) {
			return site, true
		}
	}
	v.missing()
	return site, false
}

func (v *visit) changeMonths() {
	site, ok := v.siteOfForm()
	if !ok {
		return
	}
	text := strings.TrimSpace(v.r.FormValue("months"))
	months := 0
	if text != "" {
		var err error
		if months, err = strconv.Atoi(text); err != nil || months < 1 || months > 600 {
			v.retentionPage(http.StatusUnprocessableEntity, v.tongue.Say("保存期是 1 到 600 个整月；留空则按控制台配置。", "Events are kept for 1 to 600 whole months, or as the console's config says where it is left empty."), retentionPage{})
			return
		}
	}
	older, more, err := v.store.CountOlder(v.ctx(), site.Site, months, v.now)
	if err != nil {
		v.fail(err)
		return
	}
	if older > 0 && v.r.FormValue("confirm") != strconv.Itoa(months) {
		v.retentionPage(http.StatusOK, "", retentionPage{Confirm: &shortening{site.Site, text, older, more}})
		return
	}
	if err := v.store.SetKeepMonths(v.ctx(), site.Site, months, accounts.AuthorOf(v.r, v.account)); err != nil {
		v.fail(err)
		return
	}
	v.redirect("/admin/retention")
}

func (v *visit) changeOutcomeOnly() {
	site, ok := v.siteOfForm()
	if !ok {
		return
	}
	only := v.r.FormValue("only") == "yes"
	if only && strings.TrimSpace(v.r.FormValue("typed")) != site.Site {
		v.retentionPage(http.StatusUnprocessableEntity, v.tongue.Say("没有改动：请把厂区名称原样输入，以确认抹去已存的温度。", "Nothing was changed: type the name of the site as it is written, to confirm that the temperatures stored so far are erased."), retentionPage{})
		return
	}
	if err := v.store.SetOutcomeOnly(v.ctx(), site.Site, only, accounts.AuthorOf(v.r, v.account)); err != nil {
		v.fail(err)
		return
	}
	v.redirect("/admin/retention")
}

func (v *visit) addHold() {
	form := map[string]string{}
	for _, key := range []string{"scope", "event", "from", "to", "reason"} {
		form[key] = strings.TrimSpace(v.r.FormValue(key))
	}
	unfit := func(zh, en string) {
		v.retentionPage(http.StatusUnprocessableEntity, v.tongue.Say(zh, en), retentionPage{Form: form})
	}
	hold := store.Hold{Gate: gateOf(form["scope"]), Event: form["event"], Reason: form["reason"]}
	if hold.Event != "" {
		e, err := v.store.Event(v.ctx(), hold.Event)
		if errors.Is(err, store.ErrNoEvent) || err == nil && !v.account.Sees(e.Gate) {
			unfit("没有这条记录，或者不在您的范围内。", "There is no such event, or it is not within your scope.")
			return
		}
		if err != nil {
			v.fail(err)
			return
		}
		hold.Gate = e.Gate
	}
	if !v.within(hold.Gate) {
		unfit("只能冻结您自己范围内的记录。", "You can hold what is within your own scope.")
		return
	}
	zone := v.store.Zone(hold.Gate.Site)
	for _, day := range []struct {
		text  string
		to    *time.Time
		after int // days
	}{{form["from"], &hold.From, 0}, {form["to"], &hold.To, 1}} {
		if day.text == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, day.text, zone)
		if err != nil {
			unfit("日期不对。", "A date can't be read.")
			return
		}
		*day.to = at.AddDate(0, 0, day.after)
	}
	if hold.Reason == "" || len(hold.Reason) > maxReason || !hold.To.IsZero() && !hold.From.Before(hold.To) {
		unfit("请写明原因（最多 160 个字）；结束日期不能早于开始日期。", "Give a reason of at most 160 characters; the last day is not before the first.")
		return
	}
	if _, err := v.store.AddHold(v.ctx(), hold, accounts.AuthorOf(v.r, v.account), v.now); err != nil {
		v.fail(err)
		return
	}
	v.redirect("/admin/retention#holds")
}

func (v *visit) endHold() {
	holds, err := v.store.Holds(v.ctx())
	if err != nil {
		v.fail(err)
		return
	}
	for _, h := range holds {
		if h.ID != v.r.FormValue("hold") || !h.EndedAt.IsZero() || !v.within(h.Gate) {
			continue
		}
		why := strings.TrimSpace(v.r.FormValue("why"))
		if why == "" || len(why) > maxReason {
			v.retentionPage(http.StatusUnprocessableEntity, v.tongue.Say("请写明为什么解除（最多 160 个字）。", "Say why the hold ends, in at most 160 characters."), retentionPage{})
			return
		}
		if err := v.store.EndHold(v.ctx(), h.ID, why, accounts.AuthorOf(v.r, v.account), v.now); err != nil {
			v.fail(err)
			return
		}
		v.redirect("/admin/retention#holds")
		return
	}
	v.missing()
}

func (v *visit) trustClock() {
	since, err := strconv.ParseInt(v.r.FormValue("since"), 10, 64)
	if err != nil || v.r.FormValue("compared") == "" || v.account.Scope.Site != "" {
		v.missing()
		return
	}
	switch err := v.store.TrustClock(v.ctx(), time.UnixMilli(since), v.now, accounts.AuthorOf(v.r, v.account)); {
	case errors.Is(err, store.ErrChanged):
		v.retentionPage(http.StatusConflict, v.tongue.Say("没有改动：这期间时钟又变了，请重新核对。", "Nothing was changed: the clock has changed meanwhile. Look at it again."), retentionPage{})
	case err != nil:
		v.fail(err)
	default:
		v.redirect("/admin/retention")
	}
}

// HoldOf is what a hold keeps, in words.
func (p page) HoldOf(h store.Hold) string {
	what := p.Say("全公司", "the company")
	if h.Gate.Name != "" {
		what = p.GateName(h.Gate)
	} else if h.Gate.Site != "" {
		what = h.Gate.Site
	}
	if h.Event != "" {
		what = p.Say("一条记录 · ", "one event, ") + what
	}
	zone := p.Store.Zone(h.Gate.Site)
	switch from, to := p.Date(h.From.In(zone)), p.Date(h.To.In(zone).Add(-time.Second)); {
	case !h.From.IsZero() && !h.To.IsZero():
		what += fmt.Sprintf(p.Say("，%s至%s", ", %s to %s"), from, to)
	case !h.From.IsZero():
		what += fmt.Sprintf(p.Say("，%s起", ", from %s on"), from)
	case !h.To.IsZero():
		what += fmt.Sprintf(p.Say("，截至%s", ", up to %s"), to)
	}
	return what
}

// Administers tells whether a scope is the visitor's own, or less of it.
func (p page) Administers(scope mqtt.Gate) bool {
	return (&visit{account: p.Account}).within(scope)
}
