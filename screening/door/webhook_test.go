package door

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/event"
)

// The test vector of deploy/README.md. Its signature is the one that the reference library of Standard Webhooks gives.
const (
	exampleSecret    = "whsec_dGhlcm1vZ2F0ZSBleGFtcGxlIHNlY3JldCAzMiBieXQ="
	exampleID        = "01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"
	exampleTimestamp = "1767225600"
	exampleBody      = `{"specversion":"1.0","id":"01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"}`
	exampleSignature = "v1,wOHTJ5kMKTFrn9o8FmS8g07RKn+7QbDzPrksbf6OizI="
)

// TestWebhookCannotTakeBack locks a door whose receiver decides how long it is open.
func TestWebhookCannotTakeBack(t *testing.T) {
	requests := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests <- r.Method }))
	t.Cleanup(server.Close)
	cfg := webhookTo(t, server.URL)
	cfg.Pulse = 100 * time.Millisecond
	d := newDoor(t, cfg)
	moves := make(chan Move, 10)
	d.calls.Moved = func(m Move) { moves <- m }
	answers := work(t, d)
	d.Open(sample(event.Pass))
	answer(t, answers)
	d.Lock()
	if first, then := <-moves, <-moves; first != Opened || then != Locked {
		t.Errorf("told of %s and %s", first, then)
	}
	if len(requests) != 1 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestSignatureOfTheDocumentedExample(t *testing.T) {
	key, err := readKey(file(t, exampleSecret+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := sign(key, exampleID, exampleTimestamp, []byte(exampleBody)); got != exampleSignature {
		t.Errorf("signature %s", got)
	}
	readme, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{exampleSecret, exampleID, exampleTimestamp, exampleBody, exampleSignature} {
		if !strings.Contains(string(readme), part) {
			t.Errorf("deploy/README.md does not give %s", part)
		}
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func webhookTo(t *testing.T, url string) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Output = Webhook
	cfg.Webhook = WebhookConfig{URL: url, SecretFile: file(t, exampleSecret)}
	return cfg
}

func TestPostOfAPass(t *testing.T) {
	type post struct {
		header http.Header
		body   []byte
	}
	posts := make(chan post, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.RequestURI() != "/relay/0?turn=on" {
			http.NotFound(w, r)
			return
		}
		posts <- post{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	cfg := webhookTo(t, server.URL+"/relay/0?turn=on")
	cfg.Webhook.CAFile = file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	d := newDoor(t, cfg)
	answers := work(t, d)
	e := sample(event.Pass)
	d.Announce(&e)
	d.Open(e)
	if diff := cmp.Diff(event.Door{Output: "webhook", Commanded: new(true), Accepted: new(true)}, answer(t, answers), noSeconds); diff != "" {
		t.Fatal(diff)
	}
	got := <-posts
	timestamp := got.header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)) > time.Minute {
		t.Errorf("timestamp %q", timestamp)
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(exampleSecret, "whsec_"))
	if id := got.header.Get("webhook-id"); id != e.ID || got.header.Get("webhook-signature") != sign(key, id, timestamp, got.body) {
		t.Errorf("headers %v", got.header)
	}
	if got.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || got.header["Idempotency-Key"] != nil {
		t.Errorf("headers %v", got.header)
	}
	var sent event.Event
	if err := json.Unmarshal(got.body, &sent); err != nil || sent.ID != e.ID || sent.Data.Outcome != event.Pass || sent.Data.Door != nil {
		t.Errorf("%v in %s", err, got.body)
	}
}

func TestWhatAReceiverAnswers(t *testing.T) {
	yes, no := new(true), new(false)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		handle   http.HandlerFunc
		accepted *bool
		says     string
	}{
		"202":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }, yes, ""},
		"403":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, no, "403 Forbidden"},
		"408":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestTimeout) }, nil, "408 Request Timeout" + notKnown},
		"500":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, nil, "500 Internal Server Error" + notKnown},
		"504":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) }, nil, "504 Gateway Timeout" + notKnown},
		"303":             {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusSeeOther) }, nil, "303 See Other" + notKnown},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, nil, notKnown},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, no, "307"},
		"hangs":  {func(_ http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body); <-r.Context().Done() }, nil, "no answer in time"},
		"breaks": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "EOF"},
		"a flood": {func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 64<<10); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, yes, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handle)
			defer server.Close()
			defer server.CloseClientConnections()
			d := newDoor(t, webhookTo(t, server.URL))
			if name == "hangs" {
				d.cfg.Timeout = time.Second
			}
			got := *d.carryOut(command{sample(event.Pass), time.Now()}).Data.Door
			if diff := cmp.Diff(test.accepted, got.Accepted); diff != "" || !*got.Commanded {
				t.Errorf("%+v: %s", got, diff)
			}
			if !strings.Contains(got.Error, test.says) || (got.Error == "") != (test.says == "") {
				t.Errorf("says %q, want %q", got.Error, test.says)
			}
		})
	}
}

// TestReceiverThatCannotBeTrusted presents a certificate of nobody's.
func TestReceiverThatCannotBeTrusted(t *testing.T) {
	var asked atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	cfg := webhookTo(t, server.URL)
	got := *newDoor(t, cfg).carryOut(command{sample(event.Pass), time.Now()}).Data.Door
	if got.Accepted == nil || *got.Accepted || !strings.Contains(got.Error, "certificate") || asked.Load() {
		t.Errorf("%+v", got)
	}
	if _, err := Check(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "door.webhook.url: 127.0.0.1:") || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}

func TestConnectionIsKept(t *testing.T) {
	var addresses []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { addresses = append(addresses, r.RemoteAddr) }))
	defer server.Close()
	d := newDoor(t, webhookTo(t, server.URL))
	for i := range 3 {
		if i == 2 {
			server.CloseClientConnections() // as a receiver does that restarts
		}
		if err := d.carryOut(command{sample(event.Pass), time.Now()}); !*err.Data.Door.Accepted {
			t.Fatalf("%+v", err.Data.Door)
		}
	}
	if len(addresses) != 3 || addresses[0] != addresses[1] || addresses[1] == addresses[2] {
		t.Errorf("connections from %v", addresses)
	}
}

func TestCheckOfAWebhookPostsNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the receiver was asked") }))
	defer server.Close()
	found, err := Check(t.Context(), webhookTo(t, server.URL))
	if err != nil || !strings.Contains(found, "takes connections, unencrypted") || strings.Contains(found, "whsec") {
		t.Errorf("%q, %v", found, err)
	}
	server.Close()
	if _, err := Check(t.Context(), webhookTo(t, server.URL)); err == nil || !strings.HasPrefix(err.Error(), "door.webhook.url: ") {
		t.Errorf("error %v", err)
	}
}

func TestFilesOfAWebhook(t *testing.T) {
	for name, test := range map[string]struct {
		secret, ca string
		want       string
	}{
		"empty":         {"", "", "door.webhook.secret_file: "},
		"no prefix":     {"dGhlcm1vZ2F0ZSBleGFtcGxlIHNlY3JldCAzMiBieXQ=", "", "door.webhook.secret_file: "},
		"too short":     {"whsec_c2VjcmV0", "", "door.webhook.secret_file: "},
		"not base64":    {"whsec_geheimgeheimgeheimgeheimgeheimgeheim!", "", "door.webhook.secret_file: "},
		"no PEM for CA": {exampleSecret, "certificate", "door.webhook.ca_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := webhookTo(t, "https://door.example/")
			cfg.Webhook.SecretFile = file(t, test.secret)
			if test.ca != "" {
				cfg.Webhook.CAFile = file(t, test.ca)
			}
			_, err := New(cfg, Calls{}, nil)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v", err)
			}
			if test.secret != "" && strings.Contains(err.Error(), test.secret) {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
	cfg := webhookTo(t, "https://door.example/")
	cfg.Webhook.SecretFile += ".none"
	if _, err := New(cfg, Calls{}, nil); err == nil || !strings.HasPrefix(err.Error(), "door.webhook.secret_file: ") {
		t.Errorf("error %v", err)
	}
}

// FuzzWebhookAnswer has a receiver answer anything at all.
func FuzzWebhookAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 504 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"))
	f.Add([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
	secret := filepath.Join(f.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(exampleSecret), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		w, err := newWebhook(WebhookConfig{URL: "http://door.example/open", SecretFile: secret}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		transport := w.client.Transport.(*http.Transport)
		transport.DisableKeepAlives = true
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				go io.Copy(io.Discard, theirs)
				theirs.Write(stream)
			}()
			return ours, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = w.open(ctx, sample(event.Pass))
		switch {
		case err == nil && (!bytes.HasPrefix(stream, []byte("HTTP/1.")) || !bytes.Contains(stream, []byte(" 2"))):
			t.Errorf("%q was taken for a yes", stream)
		case errors.As(err, &refusal{}) && (!bytes.HasPrefix(stream, []byte("HTTP/1.")) || !bytes.ContainsAny(stream, "34")):
			t.Errorf("%q was taken for a no: %v", stream, err)
		case err != nil && (len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n") || errors.Is(err, errSilent)):
			t.Errorf("not one short line: %q", err)
		}
	})
}
