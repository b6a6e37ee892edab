package kiosk

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"fmt"
	"hash/crc32"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/kiosk/access"
	"thermogate/screening/listen"

	"golang.org/x/text/language"
)

//go:embed web
var web embed.FS

const (
	// A page that takes longer than this for one message is cut off and connects again.
	writeTimeout = 5 * time.Second
	// The worker's page takes a verdict away after three of these without a word, and all pages take a stream that is silent
	// for seven for broken.
	heartbeat = 500 * time.Millisecond
)

// stampHeader bears, in an answer to /picture, when the question came, and in a request of a page with something that happened there
// when that was: both in milliseconds of the gate's clock, which the stream gives as the ids of its events. By them a page knows how
// long what it is told was under way at most.
const stampHeader = "Gate-Milliseconds"

// stamp is what the gate's clock shows: nobody sets it, and it begins anew with the gate.
func (k *Kiosk) stamp() int64 { return time.Since(k.began).Milliseconds() }

// HappenedAt is when something happened in a page that now sends it, zero where it does not say; long ago where it says what can't be.
func (k *Kiosk) HappenedAt(r *http.Request) time.Time {
	said := r.Header.Get(stampHeader)
	if said == "" {
		return time.Time{}
	}
	ms, err := strconv.ParseInt(said, 10, 64)
	if err != nil || ms < 0 || ms > k.stamp()+time.Hour.Milliseconds() {
		return time.Unix(0, 0)
	}
	return k.began.Add(time.Duration(ms) * time.Millisecond)
}

// The pages load nothing from anywhere else and run no script but their own.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP serves
//
//	/          the page in front of the person
//	/status    the engineers' page
//	/stream    what they show, as server-sent events: screen, gate, verdict
//	/picture   the newest picture; ?after=N waits for one other than N
//	/aim       how the camera stands, for whoever puts it up; ?after=N likewise
//	/assets/…  their scripts and styles
//
// The page in front of the person asks for stream and picture with ?page=worker, and is told no more than it shows.
func (k *Kiosk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", contentPolicy)
	k.mux.ServeHTTP(w, r)
}

func (k *Kiosk) routes() *http.ServeMux {
	pages := template.Must(template.ParseFS(web, "web/*.html"))
	assets, err := fs.Sub(web, "web/assets")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	k.gate.Build = fmt.Sprintf("%s-%x", listen.BuildOf(web), crc32.ChecksumIEEE(fmt.Append(nil, k.config.Language, k.config.Page)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", k.worker(pages))
	mux.HandleFunc("GET /status", k.page(pages, "status.html"))
	mux.HandleFunc("GET /stream", k.stream)
	mux.HandleFunc("GET /picture", k.servePicture)
	mux.HandleFunc("GET /aim", k.serveAim)
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	return mux
}

// page serves the engineers' page.
func (k *Kiosk) page(pages *template.Template, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		lang := k.languageOf(r)
		data := statusPage{Gate: k.config.Gate, Build: k.gate.Build, Lang: lang, Console: k.consoleFor(r)}
		if k.access != nil {
			data.Guarded, data.LoggedIn, data.Screens = true, k.access.Of(r) == access.Engineer, k.access.Devices()
			data.Recalibrates = k.recalibrate != nil
			if shown, err := k.network.Fingerprints(); err == nil && k.network.Encrypted() {
				data.Certificate = &shown
			}
		}
		render(w, pages, http.StatusOK, name, lang, data)
	}
}

// statusPage is what the template of the engineers' page is given.
type statusPage struct {
	Gate, Build, Lang string
	Console           string // address of the pages of guards, empty where there is none
	Guarded           bool   // it needs a password
	Recalibrates      bool   // it takes somebody's word on camera and reference source
	LoggedIn          bool
	Screens           []access.Linked
	Certificate       *listen.Fingerprints // nil without TLS
}

// English tells in which of the two languages it is.
func (p statusPage) English() bool { return p.Lang == "en" }

// workerPage is what its template is given.
type workerPage struct {
	Gate, Build string
	Words       words // of the first language
	Relink      string
	Page        pageScript // for its script
	Notices     []notice
}

// notice is what stands at the bottom of the page of a gate that has readers, in one language.
type notice struct{ Tag, Purpose, Consent string }

// pageScript is what the script of the page in front of the person has to know.
type pageScript struct {
	Languages []pageLanguage `json:"languages"`
	Sound     Sound          `json:"sound"`
	Volume    float64        `json:"volume"`
	Lost      screenState    `json:"lost"`     // while the gate can't be reached
	Wait      screenState    `json:"wait"`     // while nobody knows whether it can
	Unlinked  screenState    `json:"unlinked"` // while it does not let this browser in
	Reader    bool           `json:"reader"`   // what a reader types into the page is sent on
}

type pageLanguage struct {
	Code   string `json:"code"`
	Tag    string `json:"tag"`
	Locked string `json:"locked"` // what says that sound needs a tap
}

func (k *Kiosk) worker(pages *template.Template) http.HandlerFunc {
	lost := k.screenOf(cue{message: message{tone: toneFault, icon: "offline", head: "lost", sub: "lost.sub"}})
	wait := k.screenOf(cue{message: momentMessage})
	unlinked := k.screenOf(cue{message: message{tone: toneFault, icon: "offline", head: "unlinked", sub: "unlinked.sub"}})
	return func(w http.ResponseWriter, r *http.Request) {
		shown := k.languages(r.URL.Query().Get("lang"), k.languageOf(r))
		page := workerPage{Gate: k.config.Gate, Build: k.gate.Build, Words: k.words[shown[0]],
			Page: pageScript{Sound: k.config.Page.Sound, Volume: k.config.Page.Volume, Lost: lost, Wait: wait, Unlinked: unlinked, Reader: k.config.Reader}}
		var relink []string
		for _, code := range shown {
			w := k.words[code]
			page.Page.Languages = append(page.Page.Languages, pageLanguage{code, w["tag"], w["locked"]})
			relink = append(relink, w["relink"])
			if k.config.Badges {
				page.Notices = append(page.Notices, notice{w["tag"], cmp.Or(k.config.Page.Purpose.in(code), w["purpose"]),
					cmp.Or(k.config.Page.Consent.in(code), w["consent"])})
			}
		}
		page.Relink = strings.Join(relink, " · ")
		render(w, pages, http.StatusOK, "kiosk.html", page.Words["tag"], page)
	}
}

// FromScreen lets only the linked screens of a gate use what next serves; where the gate has no password, everybody who reaches it.
func (k *Kiosk) FromScreen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.access != nil && k.access.Of(r) != access.Device {
			http.Error(w, "only a linked screen may do this", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func render(w http.ResponseWriter, pages *template.Template, status int, name, lang string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "this page can't be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // a browser that is gone needs no answer
}

// languageOf is the language that comes first for this request, "zh" or "en".
func (k *Kiosk) languageOf(r *http.Request) string {
	for _, wish := range []string{r.URL.Query().Get("lang"), k.config.Language} {
		if wish == "zh" || wish == "en" {
			return wish
		}
	}
	languages := language.NewMatcher([]language.Tag{language.Chinese, language.English})
	if _, i := language.MatchStrings(languages, r.Header.Get("Accept-Language")); i == 1 {
		return "en"
	}
	return "zh"
}

// isWorker tells whether the page in front of the person asks.
func isWorker(r *http.Request) bool { return r.URL.Query().Get("page") == "worker" }

// places are for what pages keep open. However many others are open, the worker's page has its own.
type places struct{ worker, others *listen.Places }

func newPlaces(config Config) places {
	return places{worker: listen.NewPlaces(config.MaxWorkerPages), others: listen.NewPlaces(config.MaxOtherPages)}
}

// take gives a request its place until leave is called. The context ends with the request, or when the place goes to
// another.
func (p places) take(r *http.Request) (ctx context.Context, leave func()) {
	ctx, cancel := context.WithCancel(r.Context())
	of := p.others
	if isWorker(r) {
		of = p.worker
	}
	free := of.Take(listen.AddressOf(r), cancel)
	return ctx, func() { free(); cancel() }
}

func (p places) taken() int { return p.worker.Taken() + p.others.Taken() }

// stream sends what changed, the newest state only, for as long as the page stays.
func (k *Kiosk) stream(w http.ResponseWriter, r *http.Request) {
	ctx, leave := k.streams.take(r)
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // a limit for requests must not end a stream
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	sent := progress{worker: isWorker(r)}
	for due := true; ; {
		message, changed := k.news(&sent, due)
		if message.Len() > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every server has deadlines
			if _, err := w.Write(message.Bytes()); err != nil || control.Flush() != nil {
				return
			}
		}
		due = false
		select {
		case <-changed:
		case <-beat.C:
			due = true
		case <-ctx.Done():
			return
		case <-k.closed:
			return
		}
	}
}

// progress is what one page knows already.
type progress struct {
	worker   bool // it is the one in front of the person
	screen   uint64
	verdicts uint64
}

// news collects what a page does not know yet, and the channel that closes when there is more. The state of the gate is
// sent with every heartbeat.
func (k *Kiosk) news(sent *progress, heartbeat bool) (message bytes.Buffer, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checkStall()
	if k.screen.version != sent.screen {
		sent.screen = k.screen.version
		k.writeEvent(&message, "screen", k.screen.json)
	}
	if sent.worker {
		if heartbeat {
			k.writeEvent(&message, "gate", mustJSON(struct {
				Build string `json:"build"`
			}{k.gate.Build}))
		}
		return message, k.changed
	}
	fresh := min(k.verdicts-sent.verdicts, uint64(len(k.history)))
	for _, row := range k.history[uint64(len(k.history))-fresh:] {
		k.writeEvent(&message, "verdict", mustJSON(row))
	}
	sent.verdicts = k.verdicts
	if heartbeat {
		k.gate.FPS = k.rate.perSecond()
		k.gate.Pages = k.streams.taken()
		k.writeEvent(&message, "gate", mustJSON(k.gate))
	}
	return message, k.changed
}

func (k *Kiosk) writeEvent(b *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(b, "event: %s\nid: %d\ndata: %s\n\n", name, k.stamp(), data)
}

// servePicture answers with the newest picture once it is another than the page has, and with nothing when there is no
// fresh one.
func (k *Kiosk) servePicture(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(stampHeader, strconv.FormatInt(k.stamp(), 10))
	ctx, leave := k.polls.take(r)
	defer leave()
	newest := await(ctx, k, r, k.newestPicture, func(p *picture) uint64 { return p.number })
	if newest == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Picture-Number", strconv.FormatUint(newest.number, 10))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	for _, part := range newest.parts(isWorker(r)) {
		_, _ = w.Write(part)
	}
}

// serveAim likewise answers with what the newest view says.
func (k *Kiosk) serveAim(w http.ResponseWriter, r *http.Request) {
	ctx, leave := k.polls.take(r)
	defer leave()
	newest := await(ctx, k, r, k.newestView, func(v *view) uint64 { return v.number })
	if newest == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = w.Write(newest.report(&k.aiming.focus))
}

// await returns the newest of something once it is another than the request names in after, nil where there is no fresh one.
// A page that loses its place is not kept waiting: it gets the one there is.
func await[T any](ctx context.Context, k *Kiosk, r *http.Request, look func() (*T, <-chan struct{}), number func(*T) uint64) *T {
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64) // 0, none, where it is no number
	patience := time.NewTimer(k.config.StallLimit)
	defer patience.Stop()
	for {
		newest, changed := look()
		if newest != nil && (number(newest) != after || ctx.Err() != nil) {
			return newest
		}
		if ctx.Err() != nil || newest == nil && after != 0 { // what the page has is gone
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-patience.C:
			return nil
		case <-k.closed:
			return nil
		}
	}
}

func (k *Kiosk) newestPicture() (*picture, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = time.Now()
	k.checkStall()
	if time.Since(k.paintedAt) > k.config.StallLimit { // made for the last page that watched
		return nil, k.changed
	}
	return k.picture, k.changed
}

func (k *Kiosk) newestView() (*view, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.aiming.asked = time.Now()
	k.checkStall()
	if v := k.aiming.newest; v != nil && time.Since(v.taken) <= k.config.StallLimit {
		return v, k.changed
	}
	return nil, k.changed
}
