package kiosk

import (
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"thermogate/screening/kiosk/access"
	"thermogate/screening/listen"
	"thermogate/screening/qrcode"
)

// maxForm is the length in bytes of the longest form that is looked at.
const maxForm = 16 << 10

// entrance is the way of browsers into the pages of a gate that has a password.
type entrance struct {
	*Kiosk
	access *access.Access
	pages  *template.Template
}

// Entrance is the way to next, which has the pages and what else people with the password may see. It serves, beside that,
//
//	/login, /logout  for people
//	/link            for the screen in front of the person: a code makes this browser a device of the gate
//	/screens         to get such a code, and /screens/unlink
//	/recalibrate     to give one's word that camera and reference source are right (OfferRecalibration)
//
// Programs send user and password with each request (HTTP Basic). It is called before anything is served.
func (k *Kiosk) Entrance(next http.Handler, a *access.Access, network listen.Config) http.Handler {
	k.access, k.network = a, network
	e := entrance{k, a, template.Must(template.ParseFS(web, "web/entrance.html"))}
	inside := http.NewServeMux()
	inside.Handle("/", next)
	inside.HandleFunc("POST /screens", e.newCode)
	inside.HandleFunc("POST /screens/unlink", e.unlink)
	if k.recalibrate != nil {
		inside.HandleFunc("POST /recalibrate", e.takeWord)
	}
	mux := http.NewServeMux()
	mux.Handle("/", e.admit(inside))
	mux.Handle("/assets/", k)
	mux.HandleFunc("GET /login", e.showLogin)
	mux.HandleFunc("POST /login", e.logIn)
	mux.HandleFunc("POST /logout", e.logOut)
	mux.HandleFunc("GET /link", e.showLink)
	mux.HandleFunc("POST /link", e.link)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		mux.ServeHTTP(w, r)
	})
}

// admit lets engineers see everything, and a device what it needs.
func (e entrance) admit(next http.Handler) http.Handler {
	programs := e.access.Program(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			programs.ServeHTTP(w, r)
			return
		}
		admitted, who, done := e.access.Admit(r)
		defer done()
		switch {
		case who == access.Engineer || who == access.Device && isForDevice(r):
			if r.URL.Path == "/" {
				e.access.Renew(w, r)
			}
			next.ServeHTTP(w, admitted)
		case who == access.Device:
			e.refuse(w, r)
		case opensPage(r):
			http.Redirect(w, r, e.wayIn(r), http.StatusSeeOther)
		case isOfPage(r): // no browser is to ask for a password by itself
			http.Error(w, "log in, please", http.StatusUnauthorized)
		default:
			programs.ServeHTTP(w, r)
		}
	})
}

// isForDevice tells whether a request is for the page in front of the person, or of it.
func isForDevice(r *http.Request) bool {
	switch r.URL.Path {
	case "/":
		return r.Method == http.MethodGet
	case "/stream", "/picture":
		return isWorker(r)
	case "/badge/page":
		return r.Method == http.MethodPost
	}
	return false
}

// isOfPage tells whether a request is one that a page makes, and nobody with a browser.
func isOfPage(r *http.Request) bool {
	return r.URL.Path == "/stream" || r.URL.Path == "/picture" || r.URL.Path == "/aim" || r.URL.Path == "/badge/page"
}

// opensPage tells whether somebody wants to see something in a browser.
func opensPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// wayIn is where a browser goes that is not let in.
func (e entrance) wayIn(r *http.Request) string {
	query := url.Values{}
	if lang := r.URL.Query().Get("lang"); lang != "" {
		query.Set("lang", lang)
	}
	if r.URL.Path == "/" && e.access.WasDevice(r) {
		return "/link?" + query.Encode()
	}
	to := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		to = "/status"
	}
	query.Set("to", to)
	return "/login?" + query.Encode()
}

// entrancePage is what the templates are given.
type entrancePage struct {
	Gate, Build string
	Words       words
	Languages   []otherLanguage
	Notice      string
	User        string
	Dead        bool // the browser was a device, and is none any more
	Code        *linkCode
}

type otherLanguage struct{ Tag, Name, Address string }

// linkCode is what makes a browser a device.
type linkCode struct {
	Name, Text, Link string
	Once             string // how long it is good
	QR               template.HTML
}

func (e entrance) show(w http.ResponseWriter, r *http.Request, status int, name string, page entrancePage) {
	code := e.languages(r.URL.Query().Get("lang"), e.languageOf(r))[0]
	page.Gate, page.Build, page.Words, page.User = e.config.Gate, e.gate.Build, e.words[code], e.access.User()
	for _, other := range e.words.codes() {
		if other != code && r.Method == http.MethodGet {
			query := r.URL.Query()
			query.Set("lang", other)
			page.Languages = append(page.Languages, otherLanguage{e.words[other]["tag"], e.words[other]["name"], "?" + query.Encode()})
		}
	}
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.Header().Set("Cache-Control", "no-store")
	render(w, e.pages, status, name, page.Words["tag"], page)
}

func (e entrance) say(r *http.Request, key string) string {
	return e.words[e.languages(r.URL.Query().Get("lang"), e.languageOf(r))[0]][key]
}

// refuse tells who holds a device that it opens its own page alone.
func (e entrance) refuse(w http.ResponseWriter, r *http.Request) {
	e.show(w, r, http.StatusForbidden, "refused", entrancePage{})
}

func (e entrance) showLogin(w http.ResponseWriter, r *http.Request) {
	switch e.access.Of(r) {
	case access.Engineer:
		http.Redirect(w, r, listen.OwnPath(r.URL.Query().Get("to")), http.StatusSeeOther)
	case access.Device:
		e.refuse(w, r)
	default:
		e.show(w, r, http.StatusOK, "login", entrancePage{})
	}
}

func (e entrance) logIn(w http.ResponseWriter, r *http.Request) {
	if e.access.Of(r) == access.Device {
		e.refuse(w, r)
		return
	}
	err := e.access.LogIn(w, r, r.PostFormValue("user"), r.PostFormValue("password"))
	if err == nil {
		http.Redirect(w, r, listen.OwnPath(r.URL.Query().Get("to")), http.StatusSeeOther)
		return
	}
	e.explain(w, r, err, "login")
}

// explain shows a form once more, and why.
func (e entrance) explain(w http.ResponseWriter, r *http.Request, err error, name string) {
	status, notice := http.StatusInternalServerError, ""
	switch {
	case errors.Is(err, access.ErrWrong):
		status, notice = http.StatusUnauthorized, e.say(r, "wrong")
	case errors.Is(err, access.ErrCode):
		status, notice = http.StatusUnauthorized, e.say(r, "no-code")
	case errors.Is(err, access.ErrFull):
		status, notice = http.StatusConflict, e.say(r, "full")
	case errors.Is(err, listen.ErrTooManyTries):
		w.Header().Set("Retry-After", "10")
		status, notice = http.StatusTooManyRequests, e.say(r, "too-many")
	}
	e.show(w, r, status, name, entrancePage{Notice: notice, Dead: e.access.WasDevice(r)})
}

func (e entrance) logOut(w http.ResponseWriter, r *http.Request) {
	e.access.LogOut(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (e entrance) showLink(w http.ResponseWriter, r *http.Request) {
	if e.access.Of(r) == access.Device {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	e.show(w, r, http.StatusOK, "link", entrancePage{Dead: e.access.WasDevice(r)})
}

func (e entrance) link(w http.ResponseWriter, r *http.Request) {
	if e.access.Of(r) != access.Device { // which it is once
		if err := e.access.Link(w, r, r.PostFormValue("code")); err != nil {
			e.explain(w, r, err, "link")
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (e entrance) newCode(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	text, err := e.access.NewCode(name)
	if errors.Is(err, access.ErrName) {
		e.show(w, r, http.StatusUnprocessableEntity, "code", entrancePage{Notice: e.say(r, "no-name")})
		return
	}
	if err != nil {
		e.explain(w, r, err, "code")
		return
	}
	code := &linkCode{Name: name, Text: text, Link: e.addressFor(r) + "/link#" + text,
		Once: strings.Replace(e.say(r, "once"), "{minutes}", strconv.Itoa(int(access.CodeTime.Minutes())), 1)}
	if code.QR, err = qrcode.SVG(code.Link, code.Link); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	e.show(w, r, http.StatusOK, "code", entrancePage{Code: code})
}

// addressFor is where others reach the gate that whoever asks has reached. On the gate's own machine that is not what they
// have in the address bar.
func (e entrance) addressFor(r *http.Request) string {
	scheme, host := "http://", r.Host
	if listen.Encrypted(r) {
		scheme = "https://"
	}
	at := url.URL{Host: host}
	if isLocal(at.Hostname()) && !e.network.Local() {
		if own, err := net.InterfaceAddrs(); err == nil {
			for _, address := range own {
				if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
					return scheme + net.JoinHostPort(network.IP.String(), at.Port())
				}
			}
		}
	}
	return scheme + host
}

// OfferRecalibration has people who are logged in say that camera and reference source are right as they are, for which
// recalibrate is called. It is called before Entrance.
func (k *Kiosk) OfferRecalibration(recalibrate func() error) { k.recalibrate = recalibrate }

func (e entrance) takeWord(w http.ResponseWriter, r *http.Request) {
	if err := e.recalibrate(); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	e.backToStatus(w, r, "")
}

func (e entrance) unlink(w http.ResponseWriter, r *http.Request) {
	e.access.Unlink(r.PostFormValue("id"))
	e.backToStatus(w, r, "#screens")
}

// backToStatus leads from a form of the engineers' page to a part of it.
func (entrance) backToStatus(w http.ResponseWriter, r *http.Request, part string) {
	to := "/status"
	if lang := r.URL.Query().Get("lang"); lang != "" {
		to += "?" + url.Values{"lang": {lang}}.Encode()
	}
	http.Redirect(w, r, to+part, http.StatusSeeOther)
}
