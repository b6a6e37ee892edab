package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"thermogate/screening/listen"
)

// httpConfig says where the pages, the metrics and the health checks are served.
type httpConfig struct {
	listen.Config `yaml:",inline"`
	// User and PasswordFile guard everything but the health checks. An address beyond this machine needs them.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// Language comes first on the pages: zh, en, or empty for the browser's.
	Language string `yaml:"language"`
}

func defaultHTTPConfig() httpConfig {
	return httpConfig{Config: listen.Config{Listen: "127.0.0.1:8080"}, User: "thermogate"}
}

// Validate names the first impossible key.
func (c httpConfig) Validate() error {
	if !c.Local() && c.PasswordFile == "" {
		return fmt.Errorf("listen is %q, which others can reach; give password_file too, or listen on 127.0.0.1", c.Listen)
	}
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.User == "" || strings.Contains(c.User, ":") {
		return errors.New("user: it must be a name without a colon")
	}
	if c.Language != "" && c.Language != "zh" && c.Language != "en" {
		return fmt.Errorf("language is %q; it must be zh, en, or empty for the browser's", c.Language)
	}
	return nil
}

// guard asks for the password, where there is one.
func (c httpConfig) guard(next http.Handler, logins *listen.Attempts) (http.Handler, error) {
	if c.PasswordFile == "" {
		return next, nil
	}
	password, err := listen.ReadSecret(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("http.password_file: %w", err)
	}
	return listen.NewPassword(c.User, password, logins).Guard(next), nil
}
