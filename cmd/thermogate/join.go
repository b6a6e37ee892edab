package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/badge/passcode"
	"thermogate/screening/console/join"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
	"thermogate/screening/settings"
)

// usualConfig is the config file of a gate that systemd starts.
const usualConfig = "/etc/thermogate/thermogate.yaml"

func newJoinCommand() *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:   "join URL",
		Short: "Makes this machine a gate of a console, by a link from its page Gates",
		Long: `Join uses a link that an administrator has made on the console's page Gates. It writes into the config what the
gate is called and how it reaches broker and console, and keeps its password for the broker in the data folder. What the
config says already stays as it is, with its comments; where it says something else than the link, nothing is done.`,
		Args: program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return joinConsole(cmd.Context(), args[0], configPath, cmd.OutOrStdout())
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", usualConfig, "config file of the gate; it is made where there is none")
	return command
}

// joinTimeout is how long the console and its broker may take to let a gate in.
const joinTimeout = 30 * time.Second

func joinConsole(ctx context.Context, address, configPath string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	l, err := parseLink(address)
	if err != nil {
		return program.Usage(err)
	}
	target, err := openTarget(configPath, l)
	if err != nil {
		return err
	}
	var grant join.Grant
	if target.password == "" { // else this machine may have used the link already, and not got the answer
		if err := l.ask(ctx, http.MethodGet, nil, &grant); err != nil {
			return err
		}
		if _, err := target.merged(grant); err != nil { // before the link is used up
			return program.Usage(err)
		}
	}
	if err := target.prepare(); err != nil {
		return fmt.Errorf("%w; is the disk full or read-only, or should it be sudo thermogate join?", err)
	}
	if err := l.ask(ctx, http.MethodPost, join.Request{Password: target.password}, &grant); err != nil {
		return err
	}
	c, err := target.write(grant)
	if err != nil {
		return fmt.Errorf("%w; mend that and give the same link again", err)
	}
	target.inDataDir(func(dir *os.Root) error { return dir.Remove(target.pending) }) // one that stays is of no use to anybody
	fmt.Fprintf(out, "This machine is gate %s of %s.\nwrote %s\n", grant.Gate, grant.Site, configPath)
	for _, path := range target.secrets {
		fmt.Fprintf(out, "wrote %s\n", path)
	}
	if err := mqtt.Check(ctx, c.mqtt(), mqtt.Gate{Site: c.Site, Name: c.Gate}); err != nil {
		return fmt.Errorf("it has joined, but can't reach the broker yet: %w", err)
	}
	fmt.Fprintf(out, "the broker %s lets it in\n\nNext:\n", grant.Broker)
	for _, step := range nextSteps(c, configPath) {
		fmt.Fprintf(out, "  %s\n", step)
	}
	return nil
}

// nextSteps are what is left to do at the machine.
func nextSteps(c config, configPath string) []string {
	var steps []string
	if c.lacks().Camera {
		steps = append(steps, "thermogate cameras: prints the lines of the camera for "+configPath)
	}
	if c.lacks().Reference {
		steps = append(steps, "measure.reference_celsius in "+configPath+": what the display of the reference source says; without a source, policy.kind: group")
	}
	if configPath == usualConfig {
		return append(steps, "sudo systemctl enable thermogate && sudo systemctl restart thermogate: it then shows on the page Gates of "+c.ConsoleURL)
	}
	return append(steps, "thermogate run -c "+configPath+": it then shows on the page Gates of "+c.ConsoleURL)
}

// link is what an administrator gives out: where to ask, and which certificate to find there.
type link struct {
	url         *url.URL
	fingerprint string // SHA-256 of the certificate, hexadecimal; empty for one of a public authority
}

func parseLink(text string) (link, error) {
	const form = "a link such as https://console.example:8090/join/TOKEN#sha256=…, in quotes and as a whole"
	u, err := url.Parse(text)
	token, isJoin := "", false
	if err == nil {
		token, isJoin = strings.CutPrefix(u.Path, "/join/")
	}
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isJoin || token == "" || strings.Contains(token, "/") {
		return link{}, fmt.Errorf("this is not %s", form)
	}
	l := link{url: u}
	if u.Fragment != "" {
		var found bool
		l.fingerprint, found = strings.CutPrefix(u.Fragment, "sha256=")
		l.fingerprint = strings.ToLower(l.fingerprint)
		if raw, err := hex.DecodeString(l.fingerprint); !found || err != nil || len(raw) != sha256.Size {
			return link{}, fmt.Errorf("the end of the link is cut off or changed; give %s", form)
		}
		u.Fragment = ""
	}
	if u.Scheme == "http" && !isThisMachine(u.Hostname()) {
		return link{}, errors.New("the link is for http:, where others could read along; the console needs TLS (no http.unencrypted in its config, or its proxy in http.tls_proxies), and then another link")
	}
	return l, nil
}

func isThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func (l link) console() string { return l.url.Scheme + "://" + l.url.Host }

// errOtherCertificate is for a console that is not the one of the link, or has been given another certificate since.
var errOtherCertificate = errors.New("what answers has another certificate than the link says: either somebody is in between, or the console has a new one; ask for a new link")

// client trusts the certificate of the link alone, whatever its dates; without one the authorities of the system.
func (l link) client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if l.fingerprint != "" {
		transport.TLSClientConfig.InsecureSkipVerify = true // VerifyConnection asks for more: this very certificate
		transport.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
			if listen.Fingerprint(state.PeerCertificates[0]) != l.fingerprint {
				return errOtherCertificate
			}
			return nil
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

const (
	maxGrant = 256 << 10
	// clockError is how far this machine's clock may be off: events have its time.
	clockError = 2 * time.Minute
)

// ask sends the console a request, as JSON where there is one, and reads its answer.
func (l link) ask(ctx context.Context, method string, request, answer any) error {
	var body io.Reader
	if request != nil {
		text, err := json.Marshal(request)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, l.url.String(), body)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	response, err := l.client().Do(r)
	if err != nil {
		return l.explain(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxGrant))
	if err != nil {
		return l.explain(err)
	}
	if response.StatusCode != http.StatusOK {
		var refused struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &refused) != nil || refused.Error == "" {
			return fmt.Errorf("what answers at %s is no console that takes links: %s", l.console(), response.Status)
		}
		return fmt.Errorf("the console says: %s", refused.Error)
	}
	if there, err := http.ParseTime(response.Header.Get("Date")); err == nil && time.Since(there).Abs() > clockError {
		return fmt.Errorf("the clock of this machine says %s, and the console's %s: set it (timedatectl set-ntp true), then give the same link again",
			time.Now().UTC().Format(time.RFC3339), there.UTC().Format(time.RFC3339))
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("what answers at %s is no console that takes links: %w", l.console(), err)
	}
	return nil
}

// explain says what a failed request means for who has typed the link.
func (l link) explain(err error) error {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	advice := "look at the network of this machine, and whether the console runs"
	switch {
	case errors.Is(err, errOtherCertificate):
		return errOtherCertificate
	case errors.As(err, &dns):
		advice = "its name is not known here: look at the network of this machine, or ask for a link with an address"
	case errors.Is(err, syscall.ECONNREFUSED):
		advice = "nothing listens there: does the console run, and is the port right?"
	case errors.As(err, &authority), errors.As(err, &host):
		advice = "its certificate is not from a known authority or for another name: use the whole link, with #sha256=… at its end"
	case errors.As(err, &invalid):
		advice = "its certificate is not valid: look at the clock of this machine (timedatectl)"
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the token
	}
	return fmt.Errorf("the console at %s can't be reached: %s: %w", l.console(), advice, err)
}

// joinedFolder is where in the data folder join keeps what it was told in secret.
const joinedFolder = "joined"

// target is what join writes: the config, and secrets in a folder of their own within the data folder.
type target struct {
	path     string   // of the config
	text     []byte   // of it as it is; nil where there is none
	dataDir  string   // absolute
	pending  string   // file, by its path in the data folder, with the password until the gate has joined
	password string   // empty for a link that this machine has not begun to use
	secrets  []string // files that hold what was granted
}

// openTarget reads the config, if there is one, and how far this machine has come with the link.
func openTarget(path string, l link) (*target, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	sum := sha256.Sum256([]byte(l.url.Path))
	t := &target{path: path, pending: filepath.Join(joinedFolder, "pending-"+hex.EncodeToString(sum[:8]))}
	dataDir := newDataDir(path)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	if err == nil {
		c, err := loadConfig(path)
		if err != nil {
			return nil, err
		}
		t.text, dataDir = text, c.DataDir
	}
	if t.dataDir, err = filepath.Abs(dataDir); err != nil {
		return nil, err
	}
	t.inDataDir(func(dir *os.Root) error { // there may be none
		text, err := dir.ReadFile(t.pending)
		t.password = strings.TrimSpace(string(text))
		return err
	})
	return t, nil
}

// inDataDir has root work in the data folder without being led out of it: it belongs to the service, whose user could have
// put a link to another folder there.
func (t *target) inDataDir(work func(dir *os.Root) error) error {
	dir, err := os.OpenRoot(t.dataDir)
	if err != nil {
		return err
	}
	return errors.Join(work(dir), dir.Close())
}

// prepare makes sure that all can be written, and has a password on disk before the console knows it: whatever fails after
// that, the same link can be given again.
func (t *target) prepare() error {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return fmt.Errorf("the folder of the config: %w", err)
	}
	probe, err := os.CreateTemp(filepath.Dir(t.path), ".join-*")
	if err != nil {
		return fmt.Errorf("the folder of the config: %w", err)
	}
	probe.Close()
	os.Remove(probe.Name())
	if err := os.MkdirAll(t.dataDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if t.password == "" {
		t.password = rand.Text() + rand.Text()
	}
	return t.keep(t.pending, t.password)
}

// newDataDir is the data folder of a config that is yet to be written.
func newDataDir(configPath string) string {
	if configPath == usualConfig {
		return "/var/lib/thermogate"
	}
	return filepath.Join(filepath.Dir(configPath), "thermogate-data")
}

// secret is a file in the folder that belongs to join alone.
func (t *target) secret(name string) string { return filepath.Join(t.dataDir, joinedFolder, name) }

// keep writes a secret into a file in the data folder, whole or not at all. File and folder belong to whoever the data folder
// does: a service of its own user.
func (t *target) keep(name, secret string) error {
	err := t.inDataDir(func(dir *os.Root) error {
		like, err := dir.Stat(".")
		if err != nil {
			return err
		}
		if err := dir.Mkdir(joinedFolder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		part := filepath.Join(joinedFolder, ".join-"+rand.Text())
		file, err := dir.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteString(secret + "\n")
		err = errors.Join(err, file.Sync(), file.Close())
		for _, path := range []string{joinedFolder, part} {
			err = errors.Join(err, giveTo(like, func(user, group int) error { return dir.Lchown(path, user, group) }))
		}
		if err == nil {
			err = dir.Rename(part, name)
		}
		if err != nil {
			dir.Remove(part)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	return nil
}

// giveTo gives what chown is for the owner of something else. Only root can, and nobody else needs to.
func giveTo(like fs.FileInfo, chown func(user, group int) error) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return chown(int(owner.Uid), int(owner.Gid))
}

// lines are the keys of the config that a grant brings, each with its value.
func (t *target) lines(g join.Grant) []settings.Line {
	lines := []settings.Line{{Key: "site", Value: g.Site}, {Key: "gate", Value: g.Gate}}
	if t.text == nil {
		lines = append(lines, settings.Line{Key: "data_dir", Value: t.dataDir})
	}
	lines = append(lines, settings.Line{Key: "mqtt.broker", Value: g.Broker})
	if g.User != "" {
		lines = append(lines, settings.Line{Key: "mqtt.user", Value: g.User}, settings.Line{Key: "mqtt.password_file", Value: t.secret("broker-password")})
	}
	if g.ClientID != "" {
		lines = append(lines, settings.Line{Key: "mqtt.client_id", Value: g.ClientID})
	}
	if g.CA != "" {
		lines = append(lines, settings.Line{Key: "mqtt.ca_file", Value: t.secret("broker-ca.pem")})
	}
	if g.SiteKey != "" {
		lines = append(lines, settings.Line{Key: "badge.site_key_file", Value: t.secret("site-key.pem")})
	}
	if g.NumberKey != "" {
		lines = append(lines, settings.Line{Key: "badge.number_key_file", Value: t.secret("number-key")})
	}
	return append(lines, settings.Line{Key: "console_url", Value: g.ConsoleURL})
}

// merged is the config with what a grant brings. It is an error where the config says something else already.
func (t *target) merged(g join.Grant) ([]byte, error) {
	head := t.text
	if head == nil {
		head = []byte("# Made by thermogate join. " + exampleConfig + " explains every key.\n")
	}
	text, err := settings.Fill(head, t.lines(g), settings.Values(defaultConfig()))
	if err != nil {
		return nil, fmt.Errorf("config %s%w", t.path, err)
	}
	c := defaultConfig()
	if err := settings.Parse(text, &c, c.validate, exampleConfig); err != nil {
		return nil, fmt.Errorf("config %s, with what the link brings, would not be right%w", t.path, err)
	}
	values := settings.Values(c)
	for _, line := range t.lines(g) {
		if values[line.Key] != line.Value {
			return nil, fmt.Errorf("config %s: %s can't be set to %s by itself; write it there, then give the same link again", t.path, line.Key, line.Value)
		}
	}
	return text, nil
}

// write keeps what the console has granted.
func (t *target) write(g join.Grant) (config, error) {
	text, err := t.merged(g)
	if err != nil {
		return config{}, err
	}
	if err := checkKeys(g); err != nil {
		return config{}, err
	}
	for name, secret := range map[string]string{
		"broker-password": g.Password, "broker-ca.pem": strings.TrimRight(g.CA, "\n"),
		"site-key.pem": strings.TrimRight(g.SiteKey, "\n"), "number-key": cmp.Or(g.NumberKeys, g.NumberKey),
	} {
		if secret == "" {
			continue
		}
		if err := t.keep(filepath.Join(joinedFolder, name), secret); err != nil {
			return config{}, err
		}
		t.secrets = append(t.secrets, t.secret(name))
	}
	slices.Sort(t.secrets)
	if err := t.replaceConfig(text); err != nil {
		return config{}, fmt.Errorf("writing config: %w", err)
	}
	return loadConfig(t.path)
}

// checkKeys keeps a gate from being given keys with which it would not start.
func checkKeys(g join.Grant) error {
	var err error
	if g.SiteKey != "" {
		_, err = passcode.ParseSiteKey(g.SiteKey)
	}
	if keys := cmp.Or(g.NumberKeys, g.NumberKey); keys != "" && err == nil {
		_, err = passcode.ParseNumberKeys(keys)
	}
	if err != nil {
		return fmt.Errorf("what the console has sent: %w", err)
	}
	return nil
}

// replaceConfig writes the config whole or not at all.
func (t *target) replaceConfig(text []byte) error {
	mode, like := fs.FileMode(0o644), filepath.Dir(t.path) // the service's own user has to read it; it holds no secret
	if info, err := os.Stat(t.path); err == nil {
		mode, like = info.Mode().Perm(), t.path
	}
	owner, err := os.Stat(like)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(t.path), ".join-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err := errors.Join(err, file.Chmod(mode), giveTo(owner, file.Chown), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), t.path)
}
