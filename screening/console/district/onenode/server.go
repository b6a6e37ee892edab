// Package onenode is a NATS server with JetStream in the console's own process: a district to try out, on one machine.
// What it has confirmed is on disk. Where it is down nothing is lost, for plants keep what nobody takes.
package onenode

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"thermogate/screening/console/district"
	"thermogate/screening/listen"
)

const (
	// ownUser is the console, which connects within the process alone.
	ownUser = district.ConsoleUser
	// madeFile holds the hash of a password that was made, in the folder.
	madeFile = "plants.bcrypt"
	// readyLimit is how long a start may take: what waits is read.
	readyLimit = time.Minute
	// hashCost is the least: made passwords nobody guesses, and the hash of another is in memory only. A hundred plants that come
	// at once would not all be looked at before they give up, and come again, and so on.
	hashCost = bcrypt.MinCost
	// maxPayload bounds a message in bytes; the longest is an event of 64 KiB.
	maxPayload = 128 << 10
)

// Server is a server that runs.
type Server struct {
	server   *server.Server
	password string // of ownUser
	made     string
	user     string
}

// Start starts a server.
func Start(cfg district.OneNode, log *slog.Logger) (*Server, error) {
	s := &Server{password: rand.Text(), user: cfg.User}
	options, err := s.options(cfg, log)
	if err != nil {
		return nil, err
	}
	if s.server, err = server.NewServer(options); err != nil {
		return nil, fmt.Errorf("the district's own NATS server: %w", err)
	}
	s.server.SetLogger(logger{log}, false, false)
	go s.server.Start()
	if !s.server.ReadyForConnections(readyLimit) || !s.server.JetStreamEnabled() {
		s.Close()
		return nil, fmt.Errorf("the district's own NATS server does not start at %s with its data in %s: does another console use the folder? The log says more", cfg.Listen, cfg.Folder)
	}
	return s, nil
}

func (s *Server) options(cfg district.OneNode, log *slog.Logger) (*server.Options, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("listen: %q is no port", port)
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	free, err := net.Listen("tcp", cfg.Listen) // the server would say so to its log, and wait
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	free.Close()
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	plants, err := s.plantsPassword(cfg)
	if err != nil {
		return nil, err
	}
	own, err := bcrypt.GenerateFromPassword([]byte(s.password), hashCost)
	if err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: "thermogate-district", Host: host, Port: number, NoSigs: true, NoLog: true, MaxPayload: maxPayload,
		// After an outage all come at once, and a busy server that turned them away after its usual 2 s would have them come again and again.
		AuthTimeout: district.ConnectLimit.Seconds(),
		JetStream:   true, StoreDir: cfg.Folder, SyncAlways: true, // what is confirmed is not on any other machine
		Users: []*server.User{
			{Username: ownUser, Password: string(own), AllowedConnectionTypes: map[string]struct{}{"IN_PROCESS": {}}},
			{Username: cfg.User, Password: plants, Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{district.Subjects}},
				Subscribe: &server.SubjectPermission{Allow: []string{district.Inbox(cfg.User) + ".>"}},
			}},
		},
	}
	if cfg.CertFile != "" {
		certificate, err := listen.LoadCertificate(cfg.CertFile, cfg.KeyFile, log)
		if err != nil {
			return nil, err
		}
		options.TLSConfig, options.TLSTimeout = certificate.TLS(), 5
		options.TLSConfig.Certificates = []tls.Certificate{}
	}
	return options, nil
}

// plantsPassword is the hash of the one in the config's file, or of one that is made where there is none yet.
func (s *Server) plantsPassword(cfg district.OneNode) (string, error) {
	if cfg.PasswordFile != "" {
		password, err := listen.ReadSecret(cfg.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("password_file: %w", err)
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
		if err != nil {
			return "", fmt.Errorf("password_file: %w", err)
		}
		return string(hash), nil
	}
	path := filepath.Join(cfg.Folder, madeFile)
	hash, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(hash), err
	}
	s.made = rand.Text()
	if hash, err = bcrypt.GenerateFromPassword([]byte(s.made), hashCost); err != nil {
		return "", err
	}
	return string(hash), os.WriteFile(path, hash, 0o600)
}

// Made are user and password of plants where Start has made the password; empty where there is one already.
func (s *Server) Made() (user, password string) {
	if s.made == "" {
		return "", ""
	}
	return s.user, s.made
}

// URL is where plants find it, with the port that was chosen where the config leaves it open.
func (s *Server) URL() string { return s.server.ClientURL() }

// Connect is the console's own connection.
func (s *Server) Connect() (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(s.server), nats.UserInfo(ownUser, s.password), nats.Name(ownUser),
		nats.CustomInboxPrefix(district.Inbox(ownUser)), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
}

// Close ends the server.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logger writes what the server says.
type logger struct{ log *slog.Logger }

func (l logger) say(level func(string, ...any), format string, v []any) {
	level("the district's own NATS server", "says", fmt.Sprintf(format, v...))
}

func (l logger) Noticef(format string, v ...any) { l.say(l.log.Debug, format, v) }
func (l logger) Warnf(format string, v ...any)   { l.say(l.log.Warn, format, v) }
func (l logger) Errorf(format string, v ...any)  { l.say(l.log.Error, format, v) }
func (l logger) Fatalf(format string, v ...any)  { l.say(l.log.Error, format, v) }
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
