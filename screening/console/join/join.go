// Package join lets boxes in as gates. An administrator makes a link that is good once; the box that uses it is told its
// name, the broker and where the console is, and gets an account at the broker that speaks for this one gate. A gate that is
// revoked loses that account.
package join

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"thermogate/screening/console/passes"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

// Config says what boxes are told, and who makes their accounts at the broker. It is the section "join" of the
// configuration file.
type Config struct {
	// URL is where boxes and phones reach the console; empty is the address under which the administrator has it open.
	URL string `yaml:"url"`
	// Broker and CAFile are what gates are to connect to, and the authority (PEM) that signed its certificate; empty are those of
	// the console, at the host of URL where the console's own is this machine.
	Broker string `yaml:"broker"`
	CAFile string `yaml:"ca_file"`
	// Valid is how long a link is good.
	Valid time.Duration `yaml:"valid"`
	// DynamicSecurity is the account that may make others, at a mosquitto with that plugin.
	DynamicSecurity DynamicSecurity `yaml:"dynamic_security"`
}

// DynamicSecurity is an account at a mosquitto that administers its plugin of this name; no user is none.
type DynamicSecurity struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// DefaultConfig has somebody make the accounts by hand.
func DefaultConfig() Config { return Config{Valid: 24 * time.Hour} }

// Validate names the first key that is wrong and what would be right, without its section. It opens no file.
func (c Config) Validate() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("url is %q; it must be an address such as https://console.example, without a path", c.URL)
		}
	}
	if c.Broker != "" {
		broker := mqtt.DefaultConfig()
		if broker.Broker = c.Broker; broker.Validate() != nil {
			return fmt.Errorf("broker is %q; it must be an address such as mqtts://broker.example:8883", c.Broker)
		}
	}
	if c.Valid < time.Minute || c.Valid > 30*24*time.Hour {
		return fmt.Errorf("valid is %v; it must be between 1m and 720h", c.Valid)
	}
	if (c.DynamicSecurity.User == "") != (c.DynamicSecurity.PasswordFile == "") {
		return errors.New("dynamic_security.user and dynamic_security.password_file: give both or none")
	}
	return nil
}

// Account is one at the broker that somebody has made by hand; no user is none.
type Account struct {
	User, Password string
}

// Request is what a box says that joins.
type Request struct {
	// Password is the one that it has made for its account at the broker. With the same one it may ask again, where the answer
	// got lost.
	Password string `json:"password"`
}

// Grant is what a box is told that joins; before it does, all but the password. Boxes pass over what they don't know, so it may
// come to hold more.
type Grant struct {
	Site       string `json:"site"`
	Gate       string `json:"gate"`
	Broker     string `json:"broker"`
	CA         string `json:"ca,omitempty"` // PEM
	ConsoleURL string `json:"console_url"`
	// User and Password are those for the broker, empty where it asks for none.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// ClientID is the only one that the broker takes of this account; empty where it takes any.
	ClientID string `json:"client_id,omitempty"`
	// SiteKey is the public key of the site (PEM), which signs those of pass codes; empty where there is none.
	SiteKey string `json:"site_key,omitempty"`
	// NumberKey is the first secret under which numbers on badges become pseudonyms, and NumberKeys, where that was changed, all of
	// them with spaces between: boxes from before there could be several go by the first, and people count there too. A box that
	// joins is told them as it is told the password, and not before.
	NumberKey  string `json:"number_key,omitempty"`
	NumberKeys string `json:"number_keys,omitempty"`
}

// Errors of links, to be told apart with errors.Is.
var (
	ErrUnknown   = errors.New("this link is not known: it was copied in part, or is of another console")
	ErrExpired   = errors.New("the time of this link is over")
	ErrWithdrawn = errors.New("this link was withdrawn, or another one was made for the same gate")
	ErrPassword  = errors.New("the password is to be 32 to 128 letters and digits")
)

// UsedError says that a box has joined by the link before.
type UsedError struct {
	At   time.Time
	From string // address
}

func (e *UsedError) Error() string {
	return fmt.Sprintf("this link was used at %s from %s, and is good once. If that was not you, revoke the gate in the console; else ask for another link",
		e.At.Format(time.RFC3339), e.From)
}

// TakenError says that some box works as the gate now, and the invitation does not say that it is to be replaced.
type TakenError struct{ Gate mqtt.Gate }

func (e *TakenError) Error() string {
	return fmt.Sprintf("a box works as gate %s of %s now; switch that one off, or ask for a link that replaces it", e.Gate.Name, e.Gate.Site)
}

// UnfitError says why a gate can't have an account at the broker.
type UnfitError struct{ Err error }

func (e *UnfitError) Error() string { return e.Err.Error() }

// errNoAccount is for a gate that comes in by an account that somebody else has made.
var errNoAccount = errors.New("the broker has no account of the gate that a link has made")

// accounts makes and removes the accounts of gates at a broker.
type accounts interface {
	// fits says why a gate can't have an account there.
	fits(gate mqtt.Gate) error
	// user is the name of the gate's account.
	user(gate mqtt.Gate) string
	// clientIDOf is the only client id that the account may use, so that it can throw nobody off; empty where any other is as good.
	clientIDOf(gate mqtt.Gate) string
	// admit gives the gate's account this password, and disconnects who had another.
	admit(ctx context.Context, gate mqtt.Gate, password string) error
	// expel removes the gate's account, and disconnects who uses it; errNoAccount where there was none.
	expel(ctx context.Context, gate mqtt.Gate) error
}

// Desk is where boxes join.
type Desk struct {
	cfg      Config
	broker   string
	caFile   string
	accounts accounts // nil where somebody makes them by hand
	store    *store.Store
	passes   *passes.Office
	attempts *listen.Attempts
	log      *slog.Logger
	wake     chan struct{}
	changing sync.Mutex // held over a change of accounts, up to where the store knows of it
}

// New makes the desk of a console that is at a broker, under a name.
func New(cfg Config, name string, broker mqtt.Config, s *store.Store, log *slog.Logger) *Desk {
	d := &Desk{cfg: cfg, broker: cfg.Broker, caFile: cfg.CAFile, store: s, passes: passes.New(s), attempts: listen.NewAttempts(log), log: log, wake: make(chan struct{}, 1)}
	if d.broker == "" {
		d.broker = broker.Broker
	}
	if d.caFile == "" {
		d.caFile = broker.CAFile
	}
	switch {
	case broker.Own != nil:
		d.accounts = ownAccounts{broker.Own}
	case cfg.DynamicSecurity.User != "":
		broker.User, broker.PasswordFile, broker.PasswordEnv = cfg.DynamicSecurity.User, cfg.DynamicSecurity.PasswordFile, ""
		d.accounts = &mosquittoAccounts{cfg: broker, clientID: "thermogate-console-" + name + "-accounts"}
	}
	return d
}

// ByHand tells whether somebody has to make the accounts of gates at the broker.
func (d *Desk) ByHand() bool { return d.accounts == nil }

// URL is where boxes reach the console, which the administrator has open under an address.
func (d *Desk) URL(open string) string {
	if d.cfg.URL != "" {
		return strings.TrimSuffix(d.cfg.URL, "/")
	}
	return open
}

// BrokerFor is what gates are to connect to that reach the console at an address. What is on the console's machine they find
// where they find the console.
func (d *Desk) BrokerFor(console string) string {
	broker, err := url.Parse(d.broker)
	there, consoleErr := url.Parse(console)
	if err != nil || consoleErr != nil {
		return d.broker
	}
	if address, err := netip.ParseAddr(broker.Hostname()); broker.Hostname() == "localhost" || err == nil && (address.IsLoopback() || address.IsUnspecified()) {
		host := there.Hostname()
		if broker.Port() != "" {
			host = net.JoinHostPort(host, broker.Port())
		}
		broker.Host = host
	}
	return broker.String()
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// plainName is what a gate takes for its name and its site's.
var plainName = regexp.MustCompile(`^[\pL\pN_-]{1,64}$`)

// CheckName says whether a site or gate can have a name.
func CheckName(name string) bool { return plainName.MatchString(name) && len(name) <= 64 }

// Invite makes a link's token for a gate. Replaces says that a box that works as the gate may be replaced by whoever comes.
// The account is one that was made by hand, console the address under which boxes reach it.
func (d *Desk) Invite(ctx context.Context, gate mqtt.Gate, account Account, replaces bool, console string, by store.Author) (token string, i store.Invitation, err error) {
	if d.accounts != nil {
		if err := d.accounts.fits(gate); err != nil {
			return "", i, &UnfitError{err}
		}
		if err := d.alone(ctx, gate); err != nil {
			return "", i, err
		}
	}
	if err := d.secret(console, d.accounts != nil || account.User != ""); err != nil {
		return "", i, &UnfitError{err}
	}
	if _, err := d.authority(); err != nil {
		return "", i, &UnfitError{err}
	}
	token = rand.Text()
	now := time.Now()
	i = store.Invitation{Token: hash(token), Gate: gate, MadeAt: now, MadeBy: by.Account, Until: now.Add(d.cfg.Valid), Replaces: replaces, Sealed: seal(token, account)}
	return token, i, d.store.AddInvitation(ctx, i, by)
}

// alone says who else would have the client id that the gate's account is bound to: either would throw the other off the broker.
func (d *Desk) alone(ctx context.Context, gate mqtt.Gate) error {
	id := d.accounts.clientIDOf(gate)
	if id == "" {
		return nil
	}
	if strings.HasPrefix(id, mqtt.ConsoleClientID) {
		return &UnfitError{fmt.Errorf("its client id %s may be that of a console: give the site another name", id)}
	}
	gates, err := d.store.Gates(ctx, time.Now())
	for _, g := range gates {
		if g.Gate != gate && d.accounts.clientIDOf(g.Gate) == id {
			return &UnfitError{fmt.Errorf("it would have the client id %s of gate %s of site %s: give it another name", id, g.Name, g.Site)}
		}
	}
	return err
}

// Look returns the invitation of a token that a visitor has. Who guesses is slowed down.
func (d *Desk) Look(ctx context.Context, visitor netip.Addr, token string) (i store.Invitation, err error) {
	known, tryErr := d.attempts.Try(ctx, listen.Visitor{Address: visitor}, func() bool {
		i, err = d.store.Invitation(ctx, hash(token))
		return err == nil
	})
	switch {
	case tryErr != nil:
		return i, tryErr
	case !known && errors.Is(err, store.ErrNoInvitation):
		return i, ErrUnknown
	}
	return i, err
}

// Usable says why no box can join by an invitation now, nil where one can.
func (d *Desk) Usable(ctx context.Context, i store.Invitation) error {
	switch now := time.Now(); {
	case !i.UsedAt.IsZero():
		return &UsedError{i.UsedAt, i.UsedFrom}
	case !i.WithdrawnAt.IsZero():
		return ErrWithdrawn
	case !i.Open(now):
		return ErrExpired
	case i.Replaces:
		return nil
	}
	works, err := d.Works(ctx, i.Gate)
	if err == nil && works {
		err = &TakenError{i.Gate}
	}
	return err
}

// Works tells whether some box works as a gate now.
func (d *Desk) Works(ctx context.Context, gate mqtt.Gate) (bool, error) {
	gates, err := d.store.Gates(ctx, time.Now())
	for _, g := range gates {
		if link := g.Parts[store.Link].Value; g.Gate == gate && (link == store.Online || link == store.Doubled) {
			return true, nil
		}
	}
	return false, err
}

// Offer is what a box will be told that has an invitation's token and reaches the console at an address, all but the secrets.
func (d *Desk) Offer(ctx context.Context, i store.Invitation, token, console string) (Grant, error) {
	grant, _, err := d.grant(ctx, i, token, console)
	grant.NumberKey, grant.NumberKeys = "", ""
	return grant, err
}

// grant is without the password, which comes beside it where somebody has made one by hand.
func (d *Desk) grant(ctx context.Context, i store.Invitation, token, console string) (grant Grant, password string, err error) {
	grant = Grant{Site: i.Gate.Site, Gate: i.Gate.Name, Broker: d.BrokerFor(console), ConsoleURL: console}
	if grant.CA, err = d.authority(); err != nil {
		return grant, "", err
	}
	if grant.SiteKey, grant.NumberKey, err = d.passes.Told(ctx, i.Gate.Site); err != nil {
		return grant, "", err
	}
	if first, _, several := strings.Cut(grant.NumberKey, " "); several {
		grant.NumberKey, grant.NumberKeys = first, grant.NumberKey
	}
	account := Account{}
	if d.accounts != nil {
		grant.User, grant.ClientID = d.accounts.user(i.Gate), d.accounts.clientIDOf(i.Gate)
	} else if account, err = unseal(token, i.Sealed); err != nil {
		return grant, "", err
	} else {
		grant.User = account.User
	}
	return grant, account.Password, d.secret(console, grant.User != "")
}

// secret says why a gate can't use an account, where it does: others in the network could read user and password on their way to
// the broker.
func (d *Desk) secret(console string, account bool) error {
	broker, err := url.Parse(d.BrokerFor(console))
	if err != nil || !account || broker.Scheme == "mqtts" || broker.Scheme == "wss" || (listen.Config{Listen: net.JoinHostPort(broker.Hostname(), "0")}).Local() {
		return nil
	}
	return fmt.Errorf("%s is not encrypted, and others in the network could read the password of the gate: give the broker a certificate "+
		"(broker.cert_file and broker.key_file of the gate whose own it is; certfile and keyfile of mosquitto), or join.broker its encrypted address, such as mqtts://%s",
		broker.Redacted(), broker.Hostname())
}

// authority is that of the broker's certificate, in PEM; empty for a public one.
func (d *Desk) authority() (string, error) {
	scheme, _, _ := strings.Cut(d.broker, "://")
	switch encrypted := scheme == "mqtts" || scheme == "wss"; {
	case d.caFile == "", !encrypted && d.cfg.CAFile == "":
		return "", nil
	case !encrypted:
		return "", fmt.Errorf("join.ca_file is given, and %s is not encrypted: use mqtts:// or wss://, or take join.ca_file out", d.broker)
	}
	text, err := os.ReadFile(d.caFile)
	if err != nil {
		return "", fmt.Errorf("ca_file: %w", err)
	}
	found := certificatesOf(text)
	if found == "" {
		return "", fmt.Errorf("ca_file: %s holds no certificate in PEM", d.caFile)
	}
	return found, nil
}

// certificatesOf leaves out what else a PEM file holds: the key of a certificate may be in the same one.
func certificatesOf(text []byte) string {
	var all []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		}
	}
	return string(all)
}

var fitPassword = regexp.MustCompile(`^[A-Za-z0-9]{32,128}$`)

// Join lets a box in that has a token, and reaches the console at an address. Nothing is used up where the broker can't be
// told.
func (d *Desk) Join(ctx context.Context, visitor netip.Addr, token string, request Request, console string) (Grant, error) {
	if !fitPassword.MatchString(request.Password) {
		return Grant{}, ErrPassword
	}
	i, err := d.Look(ctx, visitor, token)
	if err != nil {
		return Grant{}, err
	}
	grant, password, err := d.grant(ctx, i, token, console)
	if err != nil {
		return Grant{}, err
	}
	grant.Password = password
	if d.accounts != nil {
		grant.Password = request.Password
	}
	if i.UsedWith == hash(request.Password) && d.store.Revoked(i.Gate).At.IsZero() { // by this box, which did not get the answer
		return grant, nil
	}
	if err := d.Usable(ctx, i); err != nil {
		return Grant{}, err
	}
	d.changing.Lock()
	err = d.store.UseInvitation(ctx, i.ID, hash(request.Password), store.Author{Account: i.MadeBy, Address: visitor}, time.Now(), func(ctx context.Context) error {
		if d.accounts == nil {
			return nil
		}
		if err := d.accounts.admit(ctx, i.Gate, request.Password); err != nil {
			return fmt.Errorf("the broker does not let the gate in yet: %w", err)
		}
		return nil
	})
	d.changing.Unlock()
	if errors.Is(err, store.ErrNotOpen) { // another box was quicker
		if i, err = d.Look(ctx, visitor, token); err == nil {
			err = d.Usable(ctx, i)
		}
	}
	if err != nil {
		return Grant{}, err
	}
	d.log.Info("a box has joined", "site", i.Gate.Site, "gate", i.Gate.Name, "from", visitor)
	return grant, nil
}

// Withdraw ends an invitation that nobody has used.
func (d *Desk) Withdraw(ctx context.Context, i store.Invitation, by store.Author) error {
	return d.store.WithdrawInvitation(ctx, i, by, time.Now())
}

// Revoke lets a gate in no more. What it made before and the broker has is still counted. The broker is told at once where
// it can be, else as soon as it can.
func (d *Desk) Revoke(ctx context.Context, gate mqtt.Gate, who, reason string, by store.Author) error {
	r := store.Revocation{Gate: gate, At: time.Now(), Who: who, Reason: reason, Account: store.AccountDue}
	if d.accounts == nil {
		r.Account = store.AccountByHand
	}
	if err := d.store.Revoke(ctx, r, by); err != nil {
		return err
	}
	d.log.Info("a gate is revoked", "site", gate.Site, "gate", gate.Name, "by", by.Account)
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// expelAgain is how often a broker is told that could not be.
const expelAgain = 5 * time.Second

// Run has the broker know who is revoked, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	for told := ""; ; {
		failed := d.expelDue(ctx)
		if text := fmt.Sprint(failed); failed != nil && ctx.Err() == nil && text != told { // the same line again and again helps nobody
			told = text
			d.log.Warn("the broker does not know yet that a gate is revoked", "error", failed)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-time.After(expelAgain):
		}
	}
}

func (d *Desk) expelDue(ctx context.Context) error {
	var errs []error
	for _, r := range d.store.Revocations() {
		errs = append(errs, d.expel(ctx, r.Gate))
	}
	return errors.Join(errs...)
}

func (d *Desk) expel(ctx context.Context, gate mqtt.Gate) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	was := d.store.Revoked(gate).Account
	if d.accounts == nil || was != store.AccountDue && was != store.AccountConfigured { // or it has joined anew
		return nil
	}
	is := store.AccountRemoved
	switch err := d.accounts.expel(ctx, gate); {
	case errors.Is(err, errNoAccount):
		is = store.AccountByHand
	case errors.Is(err, mqtt.ErrConfigured):
		is = store.AccountConfigured
	case err != nil:
		return err
	}
	if is == was {
		return nil
	}
	if is == store.AccountConfigured {
		d.log.Warn("a revoked gate comes in at the broker all the same", "site", gate.Site, "gate", gate.Name, "reason", mqtt.ErrConfigured)
	}
	return d.store.SetAccount(ctx, gate, is)
}
