package district

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"thermogate/screening/console/district/natstest"
	"thermogate/screening/event"
	"thermogate/testdata"
)

// count is how often a log says something.
func count(log *testdata.Text, part string) int { return strings.Count(log.String(), part) }

func logTo(log *testdata.Text) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }

// writeCertificate writes NAME.pem and NAME.key, signed by an authority or, without one, by itself.
func writeCertificate(t *testing.T, dir, name string, authority *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	signer, signerKey := template, any(key)
	if authority == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		signer, signerKey = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func writePassword(t *testing.T, file, password string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// deployed runs deploy/district/nats.conf with other addresses and paths. The password of each user is "secret".
func deployed(t *testing.T) (as func(user string) Config) {
	t.Helper()
	conf, err := os.ReadFile("../../../deploy/district/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	authority := writeCertificate(t, dir, "ca", nil)
	writeCertificate(t, dir, "server", authority)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(dir, "password")
	writePassword(t, password, "secret")
	c := servers(t, 3, natstest.Options{
		Whole: func(n natstest.Node) string {
			return fmt.Sprintf("NATS_NAME: nats-%d\n", n.Number+1) + strings.NewReplacer(
				"0.0.0.0:4222", n.Listen, "0.0.0.0:6222", n.Cluster, "/var/lib/nats", n.Folder, "/etc/nats", dir, "200GB", "1GB",
				"nats-1.example:6222", n.ClusterPeers[0], "nats-2.example:6222", n.ClusterPeers[1], "nats-3.example:6222", n.ClusterPeers[2],
				"$2y$05$DISTRICT", string(hash), "$2y$05$NORTH", string(hash), "$2y$05$SOUTH", string(hash),
			).Replace(string(conf))
		},
		Connect: []nats.Option{nats.RootCAs(filepath.Join(dir, "ca.pem")), nats.UserInfo("district", "secret"), nats.CustomInboxPrefix(Inbox("district"))},
	})
	return func(user string) Config {
		var urls []string
		for _, url := range c.URLs() {
			urls = append(urls, strings.Replace(url, "nats:", "tls:", 1))
		}
		return Config{Servers: urls, CAFile: filepath.Join(dir, "ca.pem"), User: user, PasswordFile: password}
	}
}

func siteMessages(site string, from, n int) []Message {
	all := messages(from, n)
	for i := range all {
		all[i].Site = site
	}
	return all
}

// TestDeployedServers has plants of the example publish for themselves and for others.
func TestDeployedServers(t *testing.T) {
	t.Parallel()
	as := deployed(t)
	s := stream(t, connect(t, as("district"), "district"), StreamConfig{Replicas: 3, MaxBytes: 64 << 20})
	t.Run("a plant publishes for its own sites", func(t *testing.T) {
		queue := NewQueue()
		queue.Add(siteMessages("south", 0, 500)...)
		queue.Add(siteMessages("south-annex", 500, 500)...)
		p, _ := publish(t, connect(t, as("south"), "south"), queue)
		began := time.Now()
		eventually(t, "end", func() bool { return queue.Len() == 0 })
		t.Logf("%.0f messages a second, each on two disks", 1000/time.Since(began).Seconds())
		if got := len(stored(t, s)); got != 1000 || p.State().Refused != 0 {
			t.Errorf("%d are stored, %+v", got, p.State())
		}
		if err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("and not for another plant's", func(t *testing.T) {
		var log testdata.Text
		queue := NewQueue()
		queue.Add(siteMessages("south", 2000, 3)...)
		queue.Add(siteMessages("north", 2003, 300)...)
		p, err := NewPublisher(connect(t, as("north"), "north"), queue, logTo(&log))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		defer running.Wait()
		defer cancel()
		eventually(t, "end of its own", func() bool { return queue.Len() == 3 })
		eventually(t, "word about the others", func() bool { state := p.State(); return state.Refused > 0 && state.LastError != "" })
		if got := len(stored(t, s)); got != 300 {
			t.Errorf("%d are stored", got)
		}
		if !strings.Contains(p.State().LastError, "publish thermogate.district.south.>") || count(&log, "the site south") != 1 {
			t.Errorf("the error is %q, the log says %s", p.State().LastError, log.String())
		}
	})
	t.Run("nor listen, nor touch the stream", func(t *testing.T) {
		conn := connect(t, as("north"), "north")
		refusal := func(of string) {
			t.Helper()
			eventually(t, "refusal of "+of, func() bool { err := conn.LastError(); return err != nil && strings.Contains(err.Error(), of) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // no answer comes
		defer cancel()
		if err := asking(t, conn).DeleteStream(ctx, Stream); err == nil {
			t.Error("a plant deletes the stream")
		}
		refusal("$JS.API.STREAM.DELETE.THERMOGATE")
		for _, subject := range []string{Subjects, "_INBOX.>", "_INBOX.south.>", "$JS.>"} {
			if _, err := conn.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			refusal(`Subscription to "` + subject + `"`)
		}
	})
}

// TestNodesAreKilled kills the leader of the stream, and then all servers, while a plant sends.
func TestNodesAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
	c := servers(t, 3, natstest.Options{})
	cfg := Config{Servers: c.URLs()}
	conn := connect(t, cfg, "district")
	s := stream(t, conn, StreamConfig{Replicas: 3, MaxBytes: 256 << 20})
	queue := NewQueue()
	p, _ := publish(t, connect(t, cfg, "plant"), queue)
	sent := 0
	send := func() {
		queue.Add(messages(sent, 500)...)
		sent += 500
	}
	send()
	eventually(t, "message sent", func() bool { return p.State().Sent > 0 })
	leader := slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return c.Name(i) == s.CachedInfo().Cluster.Leader })
	if err := c.KillNode(leader); err != nil {
		t.Fatal(err)
	}
	send()
	eventually(t, "end without one of three", func() bool { return queue.Len() == 0 })
	if err := c.StartNode(leader); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stream on all three", func() bool {
		info := streamInfo(t, s)
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
			return false
		}
		return info.Cluster.Replicas[0].Current && info.Cluster.Replicas[1].Current
	})
	send()
	for i := range 3 {
		if err := c.KillNode(i); err != nil {
			t.Fatal(err)
		}
	}
	send()
	for i := range 3 {
		if err := c.StartNode(i); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "end", func() bool { return queue.Len() == 0 })
	eventually(t, "connection", conn.IsConnected)
	var want []string
	for _, m := range messages(0, sent) {
		want = append(want, m.ID)
	}
	checkOnce(t, stored(t, s), want)
}

// TestFullStream sends more than the stream, or the disk that the server may use, takes.
func TestFullStream(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct {
		stream int64
		server string
	}{
		"stream": {stream: 64 << 10},
		"disk":   {stream: -1, server: "jetstream: {max_file_store: 65536}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servers(t, 1, natstest.Options{Config: limit.server})
			cfg := Config{Servers: c.URLs()}
			str := stream(t, connect(t, cfg, "district"), StreamConfig{Replicas: 1, MaxBytes: limit.stream})
			var log testdata.Text
			s := openStore(t, storeConfig(t, "SQLite"))
			want := appendEvents(t, s, 300, event.Pass)
			p, _ := runPlant(t, s, cfg, logTo(&log))
			eventually(t, "refusals", func() bool { state, _ := p.State(); return state.Refused > 2 })
			state, _ := p.State()
			if !strings.Contains(state.LastError, "takes no messages") || count(&log, "takes no messages") != 1 {
				t.Errorf("the state is %+v, the log says %s", state, log.String())
			}
			if state.Sent == 0 || state.Sent > 250 || empty(t, s)() {
				t.Fatalf("%d were sent", state.Sent)
			}
			var all []received
			eventually(t, "empty outbox", func() bool { all = append(all, taken(t, str)...); return empty(t, s)() })
			checkOnce(t, idsOf(append(all, taken(t, str)...), EventKind), want)
			eventually(t, "word that all is well", func() bool {
				state, _ := p.State()
				return state.LastError == "" && count(&log, "takes messages again") > 0
			})
		})
	}
}

func TestTooLongAMessageKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{Config: "max_payload: 2000\n"})
	conn := connect(t, Config{Servers: c.URLs()}, "plant")
	s := stream(t, conn, StreamConfig{Replicas: 1, MaxBytes: 1 << 20})
	queue := NewQueue()
	long := messages(0, 2)
	long[0].Body = bytes.Repeat([]byte("x"), 3000)
	queue.Add(long...)
	p, _ := publish(t, conn, queue)
	eventually(t, "end of the other", func() bool { return queue.Len() == 1 })
	if state := p.State(); state.Refused != 1 || !strings.Contains(state.LastError, "max_payload") {
		t.Errorf("the state is %+v", state)
	}
	if ids := stored(t, s); len(ids) != 1 || ids[0] != long[1].ID {
		t.Errorf("%v are stored", ids)
	}
}

// TestWrongWay has a plant whose password or authority is wrong, which says so once, and goes on once it is right.
func TestWrongWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := writeCertificate(t, dir, "ca", nil)
	writeCertificate(t, dir, "server", authority)
	other := filepath.Join(t.TempDir(), "other.pem")
	writeCertificate(t, filepath.Dir(other), "other", nil)
	password := filepath.Join(dir, "password")
	writePassword(t, password, "secret")
	c := servers(t, 1, natstest.Options{
		Config: fmt.Sprintf("tls: {cert_file: %q, key_file: %q}\naccounts: {A: {jetstream: enabled, users: [{user: plant, password: secret}]}}\n",
			filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")),
		Connect: []nats.Option{nats.RootCAs(filepath.Join(dir, "ca.pem")), nats.UserInfo("plant", "secret")},
	})
	right := Config{Servers: []string{strings.Replace(c.URL(0), "nats:", "tls:", 1)}, CAFile: filepath.Join(dir, "ca.pem"), User: "plant", PasswordFile: password}
	stream(t, connect(t, right, "district"), StreamConfig{Replicas: 1, MaxBytes: 1 << 20})
	ca, err := os.ReadFile(right.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []struct {
		name, says string
		spoil, fix func(*Config)
	}{
		{"password", "does not take district.user", func(cfg *Config) {
			cfg.PasswordFile = filepath.Join(t.TempDir(), "wrong")
			writePassword(t, cfg.PasswordFile, "guess")
		}, func(cfg *Config) { writePassword(t, cfg.PasswordFile, "secret") }},
		{"authority", "set district.ca_file", func(cfg *Config) { cfg.CAFile = other }, func(cfg *Config) {
			if err := os.WriteFile(cfg.CAFile, ca, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"no file yet", "district.ca_file: open", func(cfg *Config) { cfg.CAFile = filepath.Join(t.TempDir(), "none") }, nil},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			cfg := right
			wrong.spoil(&cfg)
			var log testdata.Text
			s := openStore(t, storeConfig(t, "SQLite"))
			appendEvents(t, s, 10, event.Pass)
			p, _ := runPlant(t, s, cfg, logTo(&log))
			eventually(t, "line in the log", func() bool { return count(&log, wrong.says) > 0 })
			eventually(t, "state that says it, too", func() bool {
				state, _ := p.State()
				return !state.Connected && strings.Contains(state.LastError, wrong.says)
			})
			if wrong.fix == nil {
				return
			}
			time.Sleep(2 * (reconnectPause + reconnectJitter)) // so that it has tried again, in silence
			if n := count(&log, wrong.says); n != 1 {
				t.Errorf("the log says it %d times: %s", n, log.String())
			}
			wrong.fix(&cfg)
			eventually(t, "empty outbox", empty(t, s))
		})
	}
}

func TestConfig(t *testing.T) {
	for text, cfg := range map[string]Config{
		"servers: name at least one":          {User: "plant", PasswordFile: "password"},
		"servers: \"mqtt://x\"":               {Servers: []string{"mqtt://x"}},
		"servers: a password does not belong": {Servers: []string{"nats://plant:secret@x"}},
		"servers: let all be":                 {Servers: []string{"nats://x", "tls://y"}},
		"servers: nats:// is not encrypted":   {Servers: []string{"nats://x"}, CAFile: "ca.pem"},
		"cert_file: it goes with key_file":    {Servers: []string{"tls://x"}, CertFile: "plant.pem"},
		"password_file: it goes with user":    {Servers: []string{"tls://x"}, User: "plant"},
		"credentials_file: it says who comes": {Servers: []string{"tls://x"}, User: "plant", PasswordFile: "password", CredentialsFile: "plant.creds"},
	} {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	for _, cfg := range []Config{{}, {Servers: []string{"nats://127.0.0.1:4222"}}, {Servers: []string{"tls://a", "tls://b:4222"}, CAFile: "ca.pem", CertFile: "c", KeyFile: "k"}} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestStreamLargerThanTheDisk has a district say what to do where a server has not the disk that the stream may take.
func TestStreamLargerThanTheDisk(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{Config: "jetstream: {max_file_store: 65536}\n"})
	js := asking(t, connect(t, Config{Servers: c.URLs()}, "district"))
	if _, err := EnsureStream(t.Context(), js, StreamConfig{Replicas: 1, MaxBytes: 20 << 30}); err == nil || !strings.Contains(err.Error(), "20 GB") {
		t.Error(err)
	}
}
