package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"thermogate/cmd/internal/consolecmd"
	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/listen"
)

// within is a console in the process of a gate.
type within struct {
	config console.Config
	gate   *station
	log    *slog.Logger
}

// readConsole reads what the config of a gate says of a console within it; nil where there is to be none. Its store is in the gate's
// data folder where it names no file. One authority signs the certificates that the two make.
func readConsole(gate *config) (*console.Config, error) {
	if gate.Console == "" {
		return nil, nil
	}
	c, err := consolecmd.LoadConfig(gate.Console)
	if err != nil {
		return nil, program.Usage(fmt.Errorf("console: %w", err))
	}
	if c.Store.File == console.DefaultConfig().Store.File {
		c.Store.File = filepath.Join(gate.DataDir, consoleName, "console.db")
	}
	c.HTTP.Folder = console.CertificateFolder(c.Store)
	listen.ShareAuthority(&gate.HTTP.Config, &c.HTTP.Config)
	return &c, nil
}

// consoleWithin works on the gate's own broker where its config names that one or none.
func (s *station) consoleWithin() *within {
	c := *s.inside
	if s.ownBroker != nil && (c.MQTT.Broker == console.DefaultConfig().MQTT.Broker || c.MQTT.Broker == s.config.mqtt().Broker) {
		c.MQTT.Own, c.MQTT.Broker = s.ownBroker, s.config.mqtt().Broker
	}
	if c.MQTT.Own != nil && c.Join.Broker == "" && s.config.Broker.CertFile != "" {
		c.Join.Broker = "mqtts://" + listen.Reachable(s.config.Broker.Listen)
	}
	return &within{c, s, s.log.With("part", "console")}
}

const (
	consoleRetry    = time.Second
	consoleRetryMax = time.Minute
)

// run keeps the console running until ctx ends. Whatever is wrong with it, people go on being screened.
func (w *within) run(ctx context.Context) {
	for wait := consoleRetry; ctx.Err() == nil; wait = min(2*wait, consoleRetryMax) {
		began := time.Now()
		err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		w.log.Error("the console does not run", "error", err)
		w.gate.health.SetConsole(err)
		if time.Since(began) > consoleRetryMax {
			wait = consoleRetry
		}
		sleep(ctx, wait)
	}
}

func (w *within) once(ctx context.Context) error {
	c, err := console.Open(ctx, w.config, program.Version(), w.log)
	if err != nil {
		return err
	}
	defer c.Close()
	w.gate.health.SetConsole(nil)
	pages := w.config.HTTP.Scheme() + "://" + c.Address()
	w.log.Info("console opens", "name", w.config.Name, "pages", pages)
	w.gate.linkConsole(cmp.Or(w.config.OIDC.URL, pages))
	return c.Run(ctx)
}

// linkConsole has the engineers' page lead to the console. What the gate's config says of its address counts first.
func (s *station) linkConsole(within string) {
	if address := cmp.Or(s.config.ConsoleURL, within); address != "" {
		if pages, err := consolePages(address); err == nil {
			s.kiosk.SetConsolePages(pages)
		}
	}
}

func consolePages(address string) (*url.URL, error) {
	pages, err := url.Parse(address)
	if err != nil || pages.Scheme != "http" && pages.Scheme != "https" || pages.Hostname() == "" || pages.User != nil {
		return nil, errors.New("console_url is no address of pages such as https://console.example, without user and password")
	}
	return pages, nil
}
