package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// httpConfig says where the pages, the metrics and the health checks are served.
type httpConfig struct {
	Listen string `yaml:"listen"`
	// User and PasswordFile guard everything but the health checks. An address beyond this machine needs them.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// Language comes first on the pages: zh, en, or empty for the browser's.
	Language string `yaml:"language"`
}

func defaultHTTPConfig() httpConfig { return httpConfig{Listen: "127.0.0.1:8080", User: "thermogate"} }

// Validate names the first impossible key.
func (c httpConfig) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen is %q; it must be ADDRESS:PORT, such as 127.0.0.1:8080", c.Listen)
	}
	if !isLoopback(host) && c.PasswordFile == "" {
		return fmt.Errorf("listen is %q, which others can reach; give password_file too, or listen on 127.0.0.1", c.Listen)
	}
	if c.Language != "" && c.Language != "zh" && c.Language != "en" {
		return fmt.Errorf("language is %q; it must be zh, en, or empty for the browser's", c.Language)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// guard asks for the password, where there is one.
func (c httpConfig) guard(next http.Handler) (http.Handler, error) {
	if c.PasswordFile == "" {
		return next, nil
	}
	data, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("reading http.password_file: %w", err)
	}
	password := strings.TrimRight(string(data), "\r\n")
	if password == "" {
		return nil, fmt.Errorf("http.password_file %s is empty", c.PasswordFile)
	}
	want := sha256.Sum256([]byte(c.User + ":" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(user + ":" + given))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="thermogate", charset="UTF-8"`)
			http.Error(w, "user and password, please", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// serveHTTP serves until ctx is done, then gives requests under way a moment to end.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving pages: %w", err)
	}
	<-stopped
	return nil
}
