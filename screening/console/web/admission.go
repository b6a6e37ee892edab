package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/join"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
	"thermogate/screening/qrcode"
)

// linksShown is how many links the page lists.
const linksShown = 100

// admissionPage is where administrators let boxes in as gates, and keep them out.
type admissionPage struct {
	Gates   []admitted
	Links   []store.Invitation
	Sites   []string
	Company bool // the visitor administers all sites
	ByHand  bool // somebody makes the accounts at the broker
	Plain   bool // only a box on this machine can join
	Form    map[string]string
	Works   *mqtt.Gate // that a box works as now, and which is to be replaced
	Link    *link
}

// admitted is a gate that there is, or that a box has joined as.
type admitted struct {
	tile
	Joined     store.Invitation // by which it did last; zero for a gate that did not
	Revocation store.Revocation
}

// link is shown once, to who has made it.
type link struct {
	Gate    mqtt.Gate
	URL     string
	Command string
	Code    template.HTML // SVG
	Until   time.Time
}

func showAdmission(v *visit) {
	query := v.r.URL.Query()
	v.admissionPage(http.StatusOK, "", admissionPage{Form: map[string]string{"site": query.Get("site"), "gate": query.Get("gate")}})
}

func (v *visit) admissionPage(status int, notice string, page admissionPage) {
	if v.cfg.Desk == nil {
		v.missing()
		return
	}
	page.Company, page.ByHand, page.Plain = v.account.Scope.Site == "", v.cfg.Desk.ByHand(), !listen.Encrypted(v.r)
	now, err := v.snapshot()
	if err != nil {
		v.fail(err)
		return
	}
	links, err := v.store.Invitations(v.ctx(), linksShown)
	if err != nil {
		v.fail(err)
		return
	}
	for _, t := range v.pageOf(now, v.account).Gates {
		page.Gates = append(page.Gates, admitted{tile: t})
	}
	at := func(gate mqtt.Gate) *admitted {
		i := slices.IndexFunc(page.Gates, func(a admitted) bool { return a.Gate.Gate == gate })
		if i < 0 {
			i = len(page.Gates)
			page.Gates = append(page.Gates, admitted{tile: tile{Gate: store.Gate{Gate: gate}, State: "unknown"}})
		}
		return &page.Gates[i]
	}
	for _, l := range links { // the newest first
		if !v.account.Sees(l.Gate) {
			continue
		}
		page.Links = append(page.Links, l)
		if !l.UsedAt.IsZero() && at(l.Gate).Joined.ID == "" {
			at(l.Gate).Joined = l
		}
	}
	for _, r := range v.store.Revocations() {
		if v.account.Sees(r.Gate) {
			a := at(r.Gate)
			a.Revocation, a.State = r, store.RevokedLink
		}
	}
	slices.SortStableFunc(page.Gates, func(a, b admitted) int {
		return strings.Compare(a.Gate.Site+"/"+a.Gate.Name, b.Gate.Site+"/"+b.Gate.Name)
	})
	for _, a := range page.Gates {
		if !slices.Contains(page.Sites, a.Gate.Site) {
			page.Sites = append(page.Sites, a.Gate.Site)
		}
	}
	if !page.Company {
		page.Sites = []string{v.account.Scope.Site}
	}
	v.showWith(status, "admission", notice, page)
}

func changeAdmission(v *visit) {
	if v.cfg.Desk == nil {
		v.missing()
		return
	}
	switch v.r.PathValue("what") {
	case "add":
		v.invite()
	case "withdraw":
		v.withdraw()
	case "revoke":
		v.revoke()
	default:
		v.missing()
	}
}

func (v *visit) invite() {
	form := map[string]string{}
	for _, key := range []string{"site", "gate", "user"} {
		form[key] = strings.TrimSpace(v.r.FormValue(key))
	}
	unfit := func(status int, zh, en string) {
		v.admissionPage(status, v.tongue.Say(zh, en), admissionPage{Form: form})
	}
	gate := mqtt.Gate{Site: form["site"], Name: form["gate"]}
	account := join.Account{User: form["user"], Password: v.r.FormValue("password")}
	switch {
	case !join.CheckName(gate.Site) || !join.CheckName(gate.Name):
		unfit(http.StatusUnprocessableEntity, "厂区和闸机的名称由字母、汉字、数字、- 和 _ 组成，最多 64 个字节。", "Names of sites and gates are made of letters, digits, - and _, at most 64 bytes.")
		return
	case !v.within(gate):
		unfit(http.StatusForbidden, "只能在您自己的范围内添加闸机。", "You can add gates within your own scope.")
		return
	case !v.cfg.Desk.ByHand() || account.User == "" && account.Password == "":
		account = join.Account{}
	case account.User == "" || account.Password == "" || len(account.User)+len(account.Password) > 1000:
		unfit(http.StatusUnprocessableEntity, "MQTT 账号和密码要么都填，要么都不填。", "Give both user and password of the broker, or neither.")
		return
	}
	works, err := v.cfg.Desk.Works(v.ctx(), gate)
	if err != nil {
		v.fail(err)
		return
	}
	replaces := v.r.FormValue("replace") == gate.Site+"/"+gate.Name
	if works && !replaces {
		v.admissionPage(http.StatusConflict, "", admissionPage{Form: form, Works: &gate})
		return
	}
	var refused *join.UnfitError
	token, i, err := v.cfg.Desk.Invite(v.ctx(), gate, account, replaces, v.cfg.Desk.URL(openAt(v.r)), accounts.AuthorOf(v.r, v.account))
	if errors.As(err, &refused) {
		unfit(http.StatusUnprocessableEntity, "MQTT 服务器不能接入这台闸机："+refused.Error(), "The broker can't let this gate in: "+refused.Error())
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	made, err := v.linkOf(token, i)
	if err != nil {
		v.fail(err)
		return
	}
	v.log.Info("a link was made by which a box can join", "site", gate.Site, "gate", gate.Name, "by", v.account.Name)
	v.admissionPage(http.StatusOK, "", admissionPage{Link: made})
}

// openAt is the address under which a request reaches the console.
func openAt(r *http.Request) string {
	scheme := "http"
	if listen.Encrypted(r) {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// linkTo is what a box needs to join, with the certificate that it is to find there. A proxy's the console does not know.
func (v *visit) linkTo(token string) string {
	to := v.cfg.Desk.URL(openAt(v.r)) + "/join/" + token
	if there, err := url.Parse(to); err == nil && v.cfg.FingerprintAt != nil {
		if fingerprint := v.cfg.FingerprintAt(there, v.r); fingerprint != "" {
			to += "#sha256=" + fingerprint
		}
	}
	return to
}

func commandOf(link string) string { return "sudo thermogate join '" + link + "'" }

func (v *visit) linkOf(token string, i store.Invitation) (*link, error) {
	to := v.linkTo(token)
	code, err := qrcode.SVG(to, v.tongue.Say("接入链接的二维码", "QR code of the link"))
	if err != nil {
		return nil, err
	}
	return &link{Gate: i.Gate, URL: to, Command: commandOf(to), Code: code, Until: i.Until}, nil
}

func (v *visit) withdraw() {
	links, err := v.store.Invitations(v.ctx(), linksShown)
	if err != nil {
		v.fail(err)
		return
	}
	i := slices.IndexFunc(links, func(l store.Invitation) bool { return l.ID == v.r.FormValue("link") })
	if i < 0 || !v.within(links[i].Gate) {
		v.missing()
		return
	}
	err = v.cfg.Desk.Withdraw(v.ctx(), links[i], accounts.AuthorOf(v.r, v.account))
	switch {
	case errors.Is(err, store.ErrNotOpen):
		v.admissionPage(http.StatusConflict, v.tongue.Say("这个链接已被使用或撤回；要让闸机退出，请吊销它。", "This link was used or withdrawn meanwhile. To keep the gate out, revoke it."), admissionPage{})
	case err != nil:
		v.fail(err)
	default:
		v.redirect("/admin/gates#links")
	}
}

func (v *visit) revoke() {
	gate, why := gateOf(v.r.FormValue("revoked")), strings.TrimSpace(v.r.FormValue("why"))
	if gate.Validate() != nil || !v.within(gate) {
		v.missing()
		return
	}
	if why == "" || len(why) > maxReason || strings.TrimSpace(v.r.FormValue("typed")) != gate.Name {
		v.admissionPage(http.StatusUnprocessableEntity, v.tongue.Say("没有吊销：请写明原因（最多 160 个字），并把闸机名称原样输入。",
			"Nothing was revoked: give a reason of at most 160 characters, and type the name of the gate as it is written."), admissionPage{})
		return
	}
	if err := v.cfg.Desk.Revoke(v.ctx(), gate, v.account.FullName, why, accounts.AuthorOf(v.r, v.account)); err != nil {
		v.fail(err)
		return
	}
	v.redirect("/admin/gates")
}

// joinError says why a box can't join, to a person and, in English, to a box; status is 0 for what is not its doing.
func joinError(t tongue, err error) (status int, said string) {
	var used *join.UsedError
	var taken *join.TakenError
	switch {
	case errors.Is(err, join.ErrUnknown):
		return http.StatusNotFound, t.Say("这个链接无效：没有抄全，或者是另一个控制台的。", err.Error())
	case errors.Is(err, join.ErrExpired):
		return http.StatusGone, t.Say("链接已过期，请管理员重新给一个。", err.Error()+"; ask an administrator for another one")
	case errors.Is(err, join.ErrWithdrawn):
		return http.StatusGone, t.Say("链接已撤回，或者同一台闸机有了新的链接。请向管理员要新的。", err.Error()+"; ask an administrator for the newest")
	case errors.As(err, &used):
		return http.StatusGone, t.Say(fmt.Sprintf("链接已于 %s 从 %s 使用过，只能用一次。如果不是您，请在控制台吊销这台闸机；否则请再要一个链接。", used.At.Format(time.RFC3339), used.From), err.Error())
	case errors.As(err, &taken):
		return http.StatusConflict, t.Say(fmt.Sprintf("另一台设备正以闸机“%s”的名义工作：请先关掉它，或者要一个可以替换它的链接。", taken.Gate.Name), err.Error())
	case errors.Is(err, join.ErrPassword):
		return http.StatusUnprocessableEntity, err.Error()
	case errors.Is(err, listen.ErrTooManyTries):
		return http.StatusTooManyRequests, t.Say("尝试太多，请稍后再试。", "Too many tries. Try again in a moment.")
	}
	return 0, ""
}

// admissible lets in who may be told a secret: over TLS, or on this machine.
func (p *Pages) admissible(w http.ResponseWriter, r *http.Request) bool {
	if p.cfg.Desk == nil {
		http.NotFound(w, r)
		return false
	}
	if !listen.Encrypted(r) && !listen.AddressOf(r).IsLoopback() {
		refuseBox(w, http.StatusForbidden, "without TLS others could read along: take http.unencrypted out of the console's config, or name its proxy in http.tls_proxies, then make another link")
		return false
	}
	return true
}

// refuseBox answers a box.
func refuseBox(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) // a box that is gone needs no answer
}

// showOffer tells a person beside a box what to do there, and the box itself what the link is for.
func (p *Pages) showOffer(w http.ResponseWriter, r *http.Request) {
	if !p.admissible(w, r) {
		return
	}
	v := &visit{Pages: p, w: w, r: r, tongue: p.tongueOf(w, r), now: time.Now()}
	invitation, err := p.cfg.Desk.Look(r.Context(), listen.AddressOf(r), r.PathValue("token"))
	if err == nil {
		err = p.cfg.Desk.Usable(r.Context(), invitation)
	}
	box := r.Header.Get("Accept") == "application/json"
	if err != nil {
		v.refuseOffer(err, box)
		return
	}
	if box {
		grant, err := p.cfg.Desk.Offer(r.Context(), invitation, r.PathValue("token"), p.cfg.Desk.URL(openAt(r)))
		if err != nil {
			v.refuseOffer(err, true)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(grant) // as above
		return
	}
	to := v.linkTo(r.PathValue("token"))
	v.show("offer", link{Gate: invitation.Gate, URL: to, Command: commandOf(to), Until: invitation.Until})
}

func (v *visit) refuseOffer(err error, box bool) {
	if box {
		v.tongue = "en"
	}
	status, said := joinError(v.tongue, err)
	if status == 0 && v.ctx().Err() == nil {
		v.log.Error("a box can't join", "error", err)
		status, said = http.StatusServiceUnavailable, err.Error()
	}
	if box {
		refuseBox(v.w, status, said)
		return
	}
	v.problem(status, said)
}

// maxRequest bounds what a box may send.
const maxRequest = 4 << 10

// join lets a box in.
func (p *Pages) join(w http.ResponseWriter, r *http.Request) {
	if !p.admissible(w, r) {
		return
	}
	v := &visit{Pages: p, w: w, r: r, tongue: "en", now: time.Now()}
	var request join.Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
		refuseBox(w, http.StatusBadRequest, "what the box says can't be read")
		return
	}
	grant, err := p.cfg.Desk.Join(r.Context(), listen.AddressOf(r), r.PathValue("token"), request, p.cfg.Desk.URL(openAt(r)))
	if err != nil {
		v.refuseOffer(err, true)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(grant) // a box that is gone asks again
}

// ToDo is what a gate still has to be told.
func (t tongue) ToDo(lacks event.Lacks) (all []string) {
	for _, what := range lacks.ToDo() {
		all = append(all, t.event(what))
	}
	return all
}

// RevocationOf is who revoked a gate, when and why.
func (p page) RevocationOf(gate mqtt.Gate) string {
	r := p.Store.Revoked(gate)
	return fmt.Sprintf("%s · %s · %s", p.At(r.At, gate), r.Who, r.Reason)
}
