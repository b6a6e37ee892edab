// Package web serves the console's pages: what guards, managers and administrators see of the gates, and what they do.
// Everything works without JavaScript but the live updates and the sound.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/join"
	"thermogate/screening/console/passes"
	"thermogate/screening/console/roster"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

//go:embed pages assets
var files embed.FS

// Config of the pages. It is the section "pages" of the configuration file.
type Config struct {
	// Language comes first: "zh", "en", or empty for the browser's. ?lang= overrides it, and is remembered.
	Language string `yaml:"language"`
	// FeverCelsius is the second reading from which on an alert is proposed to be confirmed.
	FeverCelsius float64 `yaml:"fever_celsius"`
	// AlertsPerGuard is how many alerts in ten minutes a guard can take; above it the pages say so.
	AlertsPerGuard float64 `yaml:"alerts_per_guard"`
	// MadeUpUntil is up to when a demonstration has made-up people, which every page says; zero where all are real.
	MadeUpUntil time.Time `yaml:"-"`
	// District is true where the store is what plants tell: what is theirs to do is not done here.
	District bool `yaml:"-"`
	// ReportFault is what keeps the console from writing the reports that it is to write by itself; nil where it writes none.
	ReportFault func() error `yaml:"-"`
	// Desk is where boxes join as gates, and FingerprintAt the SHA-256, hexadecimal, of the certificate that they find at an
	// address of these pages; empty where the console does not know it. The request is of whoever asks for the address.
	Desk          *join.Desk                                   `yaml:"-"`
	FingerprintAt func(pages *url.URL, r *http.Request) string `yaml:"-"`
	// Told is how it stands with the district that this plant tells what happens; nil where there is none.
	Told func() Told `yaml:"-"`
	// Taken is told how long each alert has waited until somebody took it; nil where nobody wants to know.
	Taken func(after time.Duration) `yaml:"-"`
}

// Told is how it stands with a district.
type Told struct {
	Connected bool
	Waiting   int64  // messages that it has yet to get
	Fault     string // why it does not get all; empty where it does
}

// DefaultConfig has the limit of body temperature that factories in China use, and the load that EEMUA 191 calls
// manageable.
func DefaultConfig() Config { return Config{FeverCelsius: 37.3, AlertsPerGuard: 2} }

// Validate names the first key that is wrong and what would be right, without its section.
func (c Config) Validate() error {
	switch {
	case c.Language != "" && c.Language != "zh" && c.Language != "en":
		return fmt.Errorf("language is %q; it must be zh, en or empty", c.Language)
	case !(c.FeverCelsius >= 36 && c.FeverCelsius <= 40):
		return fmt.Errorf("fever_celsius is %g; it must be between 36 and 40", c.FeverCelsius)
	case !(c.AlertsPerGuard > 0 && c.AlertsPerGuard <= 100):
		return fmt.Errorf("alerts_per_guard is %g; it must be above 0 and at most 100", c.AlertsPerGuard)
	}
	return nil
}

// Ear tells whether the console hears the gates, and since when it does or does not; the zero time where it never has.
type Ear func() (hears bool, since time.Time)

// Pages serves the console's pages.
type Pages struct {
	cfg      Config
	store    *store.Store
	accounts *accounts.Accounts
	passes   *passes.Office
	hears    Ear
	log      *slog.Logger
	build    string
	started  time.Time
	pages    map[string]*template.Template
	handler  http.Handler
	streams  *listen.Places
	exports  chan struct{} // a place for each download that is being made
	sights   sights
	closed   chan struct{}
	close    sync.Once

	mu        sync.Mutex
	now       *snapshot
	changed   chan struct{}          // closed at every new snapshot and replaced
	sounding  map[string]soundingTab // by session: whose page sounds alerts
	evidences map[string]evidence    // of open alerts
	sites     siteNews               // of a district
}

// New returns the pages of a store; hears may be nil. They are live while Run runs.
func New(s *store.Store, people *accounts.Accounts, hears Ear, cfg Config, log *slog.Logger) (*Pages, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pages.%w", err)
	}
	p := &Pages{
		cfg: cfg, store: s, accounts: people, passes: passes.New(s), hears: hears, log: log, build: listen.BuildOf(files), started: time.Now(),
		streams: listen.NewPlaces(maxStreams), exports: make(chan struct{}, maxExports), closed: make(chan struct{}), changed: make(chan struct{}),
		sights: sights{noted: map[sight]time.Time{}}, sounding: map[string]soundingTab{}, evidences: map[string]evidence{},
	}
	if p.hears == nil {
		p.hears = func() (bool, time.Time) { return true, time.Time{} }
	}
	var err error
	if p.pages, err = parse(); err != nil {
		return nil, err
	}
	p.handler = p.routes()
	return p, nil
}

// parse gives every page the frame that all share, and every part that pages share.
func parse() (map[string]*template.Template, error) {
	frame, err := template.ParseFS(files, "pages/frame.html", "pages/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		copied, err := frame.Clone()
		if err != nil {
			return nil, err
		}
		if pages[strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html")], err = copied.ParseFS(files, name); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// The pages load nothing from anywhere else and run no script but their own.
const contentPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP serves the pages, over plain HTTP or TLS.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	header.Set("Cache-Control", "no-store")
	if listen.Encrypted(r) {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
	p.handler.ServeHTTP(w, r)
}

// maxForm bounds what a form may hold.
const maxForm = 64 << 10

func (p *Pages) routes() http.Handler {
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", p.showLogin)
	mux.HandleFunc("POST /login", p.logIn)
	mux.HandleFunc("POST /logout", p.logOut)
	mux.HandleFunc("GET /join/{token}", p.showOffer)
	mux.HandleFunc("POST /join/{token}", p.join)
	if p.accounts.HasProvider() {
		mux.HandleFunc("GET /login/oidc", p.leaveForProvider)
		mux.HandleFunc("GET /login/oidc/callback", p.returnFromProvider)
	}
	type route struct {
		role  store.Role
		serve func(*visit)
	}
	routes := map[string]route{
		"GET /password":                {accounts.Anybody, showPassword},
		"POST /password":               {accounts.Anybody, changePassword},
		"GET /{$}":                     {accounts.Anybody, showHome},
		"GET /stream":                  {store.Guard, serveStream},
		"GET /alerts/{id}":             {store.Guard, showAlert},
		"GET /alerts/{id}/picture":     {store.Guard, showPicture},
		"GET /alerts/{id}/{what}":      {store.Guard, func(v *visit) { v.redirect("/alerts/" + v.r.PathValue("id")) }}, // a form's answer, opened again
		"GET /admin/accounts/{what}":   {store.Administrator, func(v *visit) { v.redirect("/admin/accounts") }},
		"GET /":                        {accounts.Anybody, (*visit).missing},
		"GET /faults":                  {store.Guard, showFaults},
		"GET /history":                 {store.Guard, showHistory},
		"GET /f/{of}/{in}/{figure...}": {store.Guard, showFigure},
		"GET /events/{id}":             {store.Guard, showEvent},
		"GET /gates":                   {store.Guard, showGates},
		"GET /gates/{site}/{gate}":     {store.Guard, showGate},
		"GET /history.csv":             {store.Manager, downloadCSV},
		"GET /history.xlsx":            {store.Manager, downloadXLSX},
		"GET /shifts":                  {store.Manager, showShifts},
		"GET /shifts/{day}/{shift}":    {store.Manager, showShift},
		"GET /reports":                 {store.Manager, showReports},
		"GET /reports.csv":             {store.Manager, downloadReport},
		"GET /reports.xlsx":            {store.Manager, downloadReport},
		"GET /reports/summary.csv":     {store.Manager, downloadReport},
		"GET /admin/accounts":          {store.Administrator, showAccounts},
		"POST /admin/accounts/{what}":  {store.Administrator, changeAccounts},
		"GET /admin/audit":             {store.Administrator, showAudit},
		"GET /events/{id}/export.json": {store.Administrator, exportEvent},
	}
	// What a plant sees to by itself.
	inPlant := map[string]route{
		"POST /sound":                  {store.Guard, noteSound},
		"GET /alerts/next":             {store.Guard, showNext},
		"POST /alerts/{id}/{what}":     {store.Guard, changeAlert},
		"POST /faults":                 {store.Guard, shelveFault},
		"GET /events/{id}/reading":     {store.Guard, func(v *visit) { v.redirect("/events/" + v.r.PathValue("id")) }}, // as above
		"POST /events/{id}/reading":    {store.Guard, addSpotReading},
		"GET /study":                   {store.Manager, showStudy},
		"GET /study/pairs.csv":         {store.Manager, downloadPairs},
		"GET /shifts/plan":             {store.Manager, showPlan},
		"POST /shifts/plan":            {store.Manager, changePlan},
		"GET /check":                   {store.Guard, showChecks},
		"POST /check":                  {store.Guard, addCheck},
		"GET /load":                    {store.Manager, showLoad},
		"GET /events/{id}/delete":      {store.Administrator, showDeletion},
		"POST /events/{id}/delete":     {store.Administrator, deleteEvent},
		"GET /admin/retention":         {store.Administrator, showRetention},
		"GET /admin/retention/{what}":  {store.Administrator, func(v *visit) { v.redirect("/admin/retention") }},
		"POST /admin/retention/{what}": {store.Administrator, changeRetention},
		"GET /admin/gates":             {store.Administrator, showAdmission},
		"GET /admin/gates/{what}":      {store.Administrator, func(v *visit) { v.redirect("/admin/gates") }},
		"POST /admin/gates/{what}":     {store.Administrator, changeAdmission},

		"GET /people":                      {store.OfCompany, showPeople},
		"GET /people/codes.csv":            {store.OfCompany, downloadCodes},
		"GET /people/codes/{what}":         {store.OfCompany, func(v *visit) { v.redirect("/people") }},
		"POST /people/codes/{what}":        {store.OfCompany, changeCodes},
		"GET /people/companies":            {store.Personnel, showCompanies},
		"GET /people/companies/{what}":     {store.Personnel, func(v *visit) { v.redirect("/people/companies") }},
		"POST /people/companies/{what}":    {store.Personnel, changeCompanies},
		"GET /people/upload":               {store.OfCompany, showUploads},
		"POST /people/upload":              {store.OfCompany, takeUpload},
		"GET /people/uploads/{id}":         {store.OfCompany, showUpload},
		"GET /people/uploads/{id}/{what}":  {store.OfCompany, func(v *visit) { v.redirect("/people/upload") }},
		"POST /people/uploads/{id}/{what}": {store.OfCompany, changeUpload},
		"GET /people/person/{id}":          {store.Personnel, showPerson},
		"GET /people/person/{id}/export":   {store.Personnel, exportPerson},
		"GET /people/person/{id}/forget":   {store.Personnel, showForget},
		"POST /people/person/{id}/forget":  {store.Personnel, forgetPerson},
		"GET /people/coverage":             {accounts.Anybody, showCoverage},
		"GET /people/protection":           {accounts.Anybody, showProtection},
	}
	for pattern, route := range inPlant {
		if p.cfg.District {
			route.serve = staysWithPlant
		}
		routes[pattern] = route
	}
	if p.cfg.District {
		routes["GET /sites/{site}"] = route{store.Guard, showSite}
		routes["GET /gates"] = route{store.Guard, func(v *visit) { v.redirect("/") }}
		routes["GET /faults"] = route{store.Guard, showDistrictFaults}
	}
	for pattern, route := range routes {
		mux.HandleFunc(pattern, p.guarded(route.role, route.serve))
	}
	protection := http.NewCrossOriginProtection()
	pages := protection.Handler(p.accounts.Sessions(bounded(readable(mux))))
	whole := http.NewServeMux()
	whole.Handle("/", pages)
	whole.Handle("GET /assets/", cached(http.StripPrefix("/assets/", http.FileServerFS(assets))))
	return whole
}

// bounded lets nobody send more than a form holds, or a list of people.
func bounded(next http.Handler) http.Handler {
	form, list := http.MaxBytesHandler(next, maxForm), http.MaxBytesHandler(next, roster.MaxBytes+maxForm)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/people/upload" {
			list.ServeHTTP(w, r)
			return
		}
		form.ServeHTTP(w, r)
	})
}

// readable refuses what is no text, which a database may not take.
func readable(next http.Handler) http.Handler {
	text := func(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ok := r.ParseForm() == nil && text(r.URL.Path)
		for key, values := range r.Form {
			ok = ok && text(key) && !slices.ContainsFunc(values, func(value string) bool { return !text(value) })
		}
		if !ok {
			http.Error(w, "this request can't be read", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cached is for what has the build in its address.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		next.ServeHTTP(w, r)
	})
}

// visit is one request of somebody who is logged in.
type visit struct {
	*Pages
	w       http.ResponseWriter
	r       *http.Request
	account store.Account
	tongue  tongue
	now     time.Time
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// guarded lets in who has a role, or more.
func (p *Pages) guarded(role store.Role, serve func(*visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		account, err := p.accounts.Of(r)
		v := &visit{Pages: p, w: w, r: r, account: account, tongue: p.tongueOf(w, r), now: time.Now()}
		switch {
		case errors.Is(err, store.ErrNoAccount):
			v.account = store.Account{}
			p.refuse(v)
		case err != nil:
			v.fail(err)
		case account.Once && r.URL.Path != "/password":
			http.Redirect(w, r, "/password", http.StatusSeeOther)
		case !accounts.May(account.Role, role):
			v.problem(http.StatusForbidden, fmt.Sprintf(v.tongue.Say("此页面需要“%s”或更高的角色，您的角色是“%s”。", "This page takes the role %s or a higher one. Yours is %s."),
				v.tongue.Word(role), v.tongue.Word(account.Role)))
		default:
			if err := v.noteDownload(); err != nil {
				v.fail(err)
				return
			}
			serve(v)
		}
	}
}

// refuse sends a browser to the log-in, and back to its page after it.
func (p *Pages) refuse(v *visit) {
	if v.r.Method != http.MethodGet || v.r.Header.Get("Sec-Fetch-Mode") == "cors" || v.r.URL.Path == "/stream" {
		http.Error(v.w, "log in first", http.StatusUnauthorized)
		return
	}
	to := "/login"
	if v.r.URL.Path != "/" {
		to += "?to=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

const languageCookie = "thermogate_language"

// tongueOf is the language that comes first for a request; one that is asked for is remembered.
func (p *Pages) tongueOf(w http.ResponseWriter, r *http.Request) tongue {
	if wish := r.URL.Query().Get("lang"); wish == "zh" || wish == "en" {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: wish, Path: "/", MaxAge: 365 * 24 * 60 * 60, SameSite: http.SameSiteLaxMode, HttpOnly: true, Secure: listen.Encrypted(r)})
		return tongue(wish)
	}
	if cookie, err := r.Cookie(languageCookie); err == nil && (cookie.Value == "zh" || cookie.Value == "en") {
		return tongue(cookie.Value)
	}
	if p.cfg.Language != "" {
		return tongue(p.cfg.Language)
	}
	languages := language.NewMatcher([]language.Tag{language.Chinese, language.English})
	if _, i := language.MatchStrings(languages, r.Header.Get("Accept-Language")); i == 1 {
		return "en"
	}
	return "zh"
}

// page is what every page is made of.
type page struct {
	tongue
	Path    string
	Build   string
	Account store.Account
	Now     time.Time
	Other   string // address of the same page in the other language
	Notice  string // what just went wrong, or well
	// Escalated are alerts that nobody sees to, one of each gate; Open and Faults count what the links to the pages of those tell.
	Escalated    []openAlert
	Open, Faults int
	Store        *store.Store
	MadeUp       time.Time // up to when people are
	District     bool      // the store is what plants tell
	Posted       bool      // it answers a form, and is not there to be asked for again
	Data         any
}

// Lang is for the page's own attribute.
func (p page) Lang() string { return p.Say("zh-Hans", "en") }

// May tells whether somebody may see what is for a role.
func (p page) May(role string) bool { return accounts.May(p.Account.Role, store.Role(role)) }

// Below tells whether the page is one of those under an address.
func (p page) Below(path string) bool { return strings.HasPrefix(p.Path, path) }

// Watches tells whether this is where alerts are to be heard.
func (p page) Watches() bool {
	return !p.District && (p.Account.Role == store.Guard || p.Path == "/" || strings.HasPrefix(p.Path, "/alerts/"))
}

// At is a time by the clock at a gate.
func (p page) At(at time.Time, gate mqtt.Gate) string {
	return p.Moment(at, p.Now, p.Store.Zone(gate.Site))
}

// Clock is the time of day by the visitor's site.
func (p page) Clock(at time.Time) string {
	return at.In(p.Store.Zone(p.Account.Scope.Site)).Format("15:04")
}

// With is the page with other data, for a part of it.
func (p page) With(data any) page {
	p.Data = data
	return p
}

// SiteScope is the scope that is all of a site.
func (page) SiteScope(site string) mqtt.Gate { return mqtt.Gate{Site: site} }

// GateAddress is where the page of a gate is.
func (page) GateAddress(gate mqtt.Gate) string { return gateAddress(gate) }

// Hours are those for which a fault can be put aside.
func (page) Hours() []int { return []int{1, 4, 8, 24, 72} }

// Day is the date at a gate.
func (p page) Day(at time.Time, gate mqtt.Gate) string { return p.Date(at.In(p.Store.Zone(gate.Site))) }

// HourMinute is the time of day at a gate.
func (p page) HourMinute(at time.Time, gate mqtt.Gate) string {
	return at.In(p.Store.Zone(gate.Site)).Format("15:04")
}

// Since is how long ago something was.
func (p page) Since(at time.Time) string { return p.Ago(p.Now.Sub(at)) }

func (v *visit) page(data any) page {
	query := v.r.URL.Query()
	query.Set("lang", v.tongue.Say("en", "zh"))
	live := v.live()
	return page{
		tongue: v.tongue, Path: v.r.URL.Path, Build: v.build, Account: v.account, Now: v.now,
		Other: v.r.URL.Path + "?" + query.Encode(), Store: v.store, Data: data, MadeUp: v.cfg.MadeUpUntil, District: v.cfg.District,
		Escalated: live.Escalated, Open: live.message.open, Faults: live.message.faults,
		Posted: v.r.Method == http.MethodPost,
	}
}

// live is what every page tells of all alerts and faults.
func (v *visit) live() nowPage {
	now, _ := v.newest()
	if now == nil || v.account.Name == "" {
		return nowPage{}
	}
	page := v.pageOf(now, v.account)
	if v.r.URL.Path == "/" { // which names them anyway
		page.Escalated = nil
	}
	return page
}

// noteDownload has no file leave the console without a line in the audit.
func (v *visit) noteDownload() error {
	if ext := path.Ext(v.r.Pattern); ext != ".csv" && ext != ".xlsx" {
		return nil
	}
	detail := v.r.URL.RequestURI()
	if strings.HasPrefix(v.r.URL.Path, "/people/") {
		detail = v.lookedAt()
	} else if plain, err := url.PathUnescape(detail); err == nil {
		detail = plain
	}
	by := accounts.AuthorOf(v.r, v.account)
	return v.store.Note(v.ctx(), store.AuditLine{At: v.now, By: by, What: store.Exported, Scope: v.account.Scope, Detail: detail})
}

// show sends a page, or the one part of it that is asked for.
func (v *visit) show(name string, data any) { v.showWith(http.StatusOK, name, "", data) }

func (v *visit) showWith(status int, name, notice string, data any) {
	if err := v.noteSight(data); err != nil {
		v.fail(err)
		return
	}
	page := v.page(data)
	page.Notice = notice
	template := "frame"
	if part := v.r.URL.Query().Get("part"); part != "" && v.pages[name].Lookup("part-"+part) != nil {
		template = "part-" + part
	}
	var body bytes.Buffer
	if err := v.pages[name].ExecuteTemplate(&body, template, page); err != nil {
		v.log.Error("a page can't be made", "page", name, "error", err)
		http.Error(v.w, "this page can't be shown; the console's log says why", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", page.Lang())
	v.w.WriteHeader(status)
	_, _ = v.w.Write(body.Bytes()) // a browser that is gone needs no answer
}

// problem is a page that says what is wrong and where to go on.
func (v *visit) problem(status int, what string) { v.showWith(status, "problem", what, nil) }

func (v *visit) fail(err error) {
	if v.ctx().Err() != nil {
		return // nobody waits for it any more
	}
	if errors.Is(err, accounts.ErrBusy) {
		v.problem(v.loginError(err))
		return
	}
	v.log.Error("a request failed", "path", v.r.URL.Path, "error", err)
	v.problem(http.StatusInternalServerError, v.tongue.Say("存储出错，请稍后再试；控制台日志有原因。", "The store can't do that now. Try again in a moment; the console's log says why."))
}

func (v *visit) missing() {
	v.problem(http.StatusNotFound, v.tongue.Say("没有这个页面或记录，或者不在您的范围内。", "There is no such page or record, or it is not within your scope."))
}

// redirect goes on to a page after a form.
func (v *visit) redirect(to string) { http.Redirect(v.w, v.r, to, http.StatusSeeOther) }

// gatesInScope are the names of the gates that the visitor sees.
func (v *visit) gatesInScope() ([]mqtt.Gate, error) {
	all, err := v.store.Gates(v.ctx(), v.now)
	var gates []mqtt.Gate
	for _, g := range all {
		if v.account.Sees(g.Gate) {
			gates = append(gates, g.Gate)
		}
	}
	return gates, err
}

// gateOf reads a gate from a form's "site/gate".
func gateOf(text string) mqtt.Gate { return accounts.ScopeOf(text) }

// Run keeps the pages live until ctx is done.
func (p *Pages) Run(ctx context.Context) error {
	defer p.close.Do(func() { close(p.closed) })
	return p.keepLive(ctx)
}
