package door

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"thermogate/camera/bounded"
	"thermogate/screening/event"
)

// How much of an answer is read; the body to be able to use its connection again.
const (
	maxHeaderBytes   = 16 << 10
	maxResponseBytes = 16 << 10
)

// What the files hold at most.
const (
	maxSecretBytes = 4 << 10
	maxCAFileBytes = 1 << 20 // all authorities of a system are a quarter of it
)

// webhook posts the event, signed by the scheme of Standard Webhooks (standardwebhooks.com).
type webhook struct {
	url    *url.URL
	key    []byte
	client http.Client
	tls    *tls.Config
	// What the receiver is taken to do, for it alone knows.
	pulse     time.Duration
	openUntil time.Time
}

func newWebhook(cfg WebhookConfig, pulse time.Duration) (*webhook, error) {
	address, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("webhook.url is not an address")
	}
	key, err := readKey(cfg.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("webhook.secret_file: %w", err)
	}
	w := &webhook{url: address, key: key, pulse: pulse, tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: address.Hostname()}}
	if cfg.CAFile != "" {
		pem, err := bounded.ReadFile(cfg.CAFile, maxCAFileBytes)
		if err != nil {
			return nil, fmt.Errorf("webhook.ca_file: %w", err)
		}
		w.tls.RootCAs = x509.NewCertPool()
		if !w.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("webhook.ca_file: %s holds no PEM certificate", cfg.CAFile)
		}
	}
	w.client = http.Client{
		// And no proxy: a door is near.
		Transport:     &http.Transport{TLSClientConfig: w.tls, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxHeaderBytes},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// readKey reads a secret as Standard Webhooks writes it.
func readKey(path string) ([]byte, error) {
	content, err := bounded.ReadFile(path, maxSecretBytes)
	if err != nil {
		return nil, err
	}
	encoded, found := strings.CutPrefix(strings.TrimSpace(string(content)), "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf(`%s does not hold whsec_ and 24 to 64 bytes in base64; make one with: echo "whsec_$(openssl rand -base64 32)"`, path)
	}
	return key, nil
}

func (w *webhook) open(ctx context.Context, e event.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return refusal{err}
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return refusal{err}
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", "thermogate")
	request.Header.Set("Webhook-Id", e.ID)
	request.Header.Set("Webhook-Timestamp", timestamp)
	request.Header.Set("Webhook-Signature", sign(w.key, e.ID, timestamp, body))
	request.Header["Idempotency-Key"] = nil // not sent: it lets the client try again where a kept connection was closed
	response, err := w.client.Do(request)
	if err != nil {
		err = w.plainly(err)
		if !connected.Load() {
			return refusal{err}
		}
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxResponseBytes)) // only its status counts
	if status := response.StatusCode; status < 200 || status > 299 {
		err := fmt.Errorf("webhook.url: %s answers %s", w.url.Host, strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status))))
		if refuses(status) {
			return refusal{err}
		}
		return err
	}
	w.openUntil = time.Now().Add(w.pulse)
	return nil
}

// refuses reports whether a status says that nothing was done. Others than these may come from a proxy that lost the
// receiver on the way, from one that failed after it had opened, or say where the result is to be seen (303).
func refuses(status int) bool {
	return status >= 400 && status <= 499 && status != http.StatusRequestTimeout ||
		status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
}

// sign is the value of webhook-signature.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// plainly takes method and address off an error of the client, and the end off one that quotes a long answer.
func (w *webhook) plainly(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	err = plain(err)
	const most = 200
	if text := err.Error(); len(text) > most {
		err = errors.New(strings.ToValidUTF8(text[:most], "") + "…")
	}
	return fmt.Errorf("webhook.url: %s: %w", w.url.Host, err)
}

// A webhook can't take back what it has asked for.
func (w *webhook) lock(context.Context) (bool, error) { return false, nil }
func (w *webhook) opened() bool                       { return time.Now().Before(w.openUntil) }

// when is the end of the pulse, and the only care a webhook needs is to notice it.
func (w *webhook) when() time.Time { return w.openUntil }
func (w *webhook) tend(context.Context) error {
	if !w.opened() {
		w.openUntil = time.Time{}
	}
	return nil
}

func (w *webhook) rest(context.Context) error { w.client.CloseIdleConnections(); return nil }

// probe connects and sends nothing, for there is no request that a receiver is sure not to open for.
func (w *webhook) probe(ctx context.Context) (string, error) {
	address := w.url.Host
	if w.url.Port() == "" {
		address = net.JoinHostPort(w.url.Hostname(), map[string]string{"http": "80", "https": "443"}[w.url.Scheme])
	}
	var conn net.Conn
	var err error
	how := "unencrypted: requests are signed, but others in the network can read them"
	if w.url.Scheme == "https" {
		how = "its certificate is good"
		conn, err = (&tls.Dialer{Config: w.tls}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return "", fmt.Errorf("%w; is this its address, and is it running?", w.plainly(err))
	}
	conn.Close()
	return fmt.Sprintf("%s takes connections, %s; that it opens shows only when somebody passes", w.url.Host, how), nil
}
