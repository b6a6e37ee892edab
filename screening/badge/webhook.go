package badge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"thermogate/screening/listen"
)

const (
	maxBody = 1 << 10 // bytes
	// clockError is how far the sender's clock may be off.
	clockError = 30 * time.Second
	// maxSeen is of how many requests it is remembered what became of them: more than can be sent while one would still do.
	maxSeen = 4096
	// requestsPerSecond are more than all people at a gate make.
	requestsPerSecond = 20
	requestsAtOnce    = 50
)

// Message is what a reader sends, over MQTT or as a request.
type Message struct {
	Number string `json:"number,omitempty"` // of a badge, or
	Code   string `json:"code,omitempty"`   // a pass code
	Reader string `json:"reader,omitempty"` // its name, where there are several
	// At is when it was read, by the clock of the reader; zero where that gives no time.
	At time.Time `json:"at,omitzero"`
}

var readerName = regexp.MustCompile(`^[\pL\pN_-]{0,32}$`)

// Read is what the message says was read. It came at a time.
func (m Message) Read(kind Kind, came time.Time) (Read, error) {
	switch {
	case (m.Number == "") == (m.Code == ""):
		return Read{}, errors.New(`a read has a number or a code: {"number":"1047"} or {"code":"TGPC…"}`)
	case len(m.Number)+len(m.Code) > maxTyped:
		return Read{}, fmt.Errorf("a number or code has at most %d characters", maxTyped)
	case !readerName.MatchString(m.Reader):
		return Read{}, errors.New("reader is a name of at most 32 letters, digits, - and _")
	}
	return Read{At: came, Made: m.At, Kind: kind, Reader: m.Reader, Text: m.Number + m.Code}, nil
}

// NewWebhook serves requests of a reader or door controller that are signed by the scheme of Standard Webhooks
// (standardwebhooks.com) with the secret in a file. The body is a Message. What is sent again is not taken again, and gets the same
// answer.
func NewWebhook(secretFile string, take func(Read) Result) (http.Handler, error) {
	secret, err := listen.ReadSecret(secretFile)
	if err != nil {
		return nil, fmt.Errorf("badge.webhook_secret_file: %w", err)
	}
	encoded, found := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf(`badge.webhook_secret_file: %s does not hold whsec_ and 24 to 64 bytes in base64; make one with: echo "whsec_$(openssl rand -base64 32)"`, secretFile)
	}
	return &webhook{key: key, take: take, now: time.Now, began: time.Now().Truncate(time.Second), limit: rate.NewLimiter(requestsPerSecond, requestsAtOnce), seen: map[string]Result{}}, nil
}

type webhook struct {
	key   []byte
	take  func(Read) Result
	now   func() time.Time
	began time.Time // what was sent before may have been taken before a restart
	limit *rate.Limiter

	mu    sync.Mutex
	seen  map[string]Result // what became of what was sent, by its id
	order []string          // of the ids, oldest first
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := h.now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, fmt.Sprintf("a read has at most %d bytes", maxBody), http.StatusRequestEntityTooLarge)
		return
	}
	id, timestamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	if id == "" || len(id) > 128 || !h.signed(id, timestamp, body, r.Header.Get("Webhook-Signature")) {
		http.Error(w, "not signed with the secret of this gate", http.StatusUnauthorized)
		return
	}
	if result, again := h.seenBefore(id); again { // whenever that is, so that the sender ceases
		answer(w, result)
		return
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	sent := time.Unix(seconds, 0)
	if err != nil || now.Sub(sent).Abs() > clockError || sent.Before(h.began) {
		http.Error(w, "sent too long ago, before the gate was started, or the clock of the sender or of the gate is wrong", http.StatusUnauthorized)
		return
	}
	if !h.limit.AllowN(now, 1) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	read, err := messageOf(body, now)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	read.Sent = sent
	answer(w, h.once(id, read))
}

// answer tells a reader what became of its read; a valid code and one that is not sound differently.
func answer(w http.ResponseWriter, result Result) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct { // a client that is gone needs no answer
		Result Result `json:"result"`
	}{result})
}

func messageOf(body []byte, at time.Time) (Read, error) {
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Read{}, fmt.Errorf("the read is not as it should be: %w", err)
	}
	return m.Read(Webhook, at)
}

func (h *webhook) signed(id, timestamp string, body []byte, signatures string) bool {
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.ContainsFunc(strings.Fields(signatures), func(one string) bool { return hmac.Equal([]byte(one), []byte(want)) })
}

func (h *webhook) seenBefore(id string) (result Result, before bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	result, before = h.seen[id]
	return result, before
}

// once takes a read whose id comes for the first time, and returns what became of it then.
func (h *webhook) once(id string, read Read) Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	if result, before := h.seen[id]; before { // meanwhile
		return result
	}
	result := h.take(read)
	if len(h.order) == maxSeen {
		delete(h.seen, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
	h.seen[id], h.order = result, append(h.order, id)
	return result
}

// NewPage serves what the page at the gate has had typed into it, at a time that may be zero. Whose page may send it is for the caller
// to see to.
func NewPage(typedAt func(*http.Request) time.Time, take func(Read) Result) http.Handler {
	limit := rate.NewLimiter(requestsPerSecond, requestsAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTyped))
		switch {
		case err != nil || len(text) == 0:
			http.Error(w, fmt.Sprintf("a read has 1 to %d characters", maxTyped), http.StatusBadRequest)
		case !limit.Allow():
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		default:
			answer(w, take(Read{At: time.Now(), Made: typedAt(r), Kind: Page, Text: string(text)}))
		}
	})
}
