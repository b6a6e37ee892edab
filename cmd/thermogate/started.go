package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"thermogate/screening/datadir"
)

// keepStarted keeps a copy of the config file that a gate of this user starts with, so that its health check finds the gate
// whatever becomes of the file meanwhile. The function it returns removes the copy.
func keepStarted(file string, log *slog.Logger) (remove func()) {
	kept, err := startedFile(file)
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(file); err == nil {
			err = os.WriteFile(kept, text, 0o600)
		}
	}
	if err != nil {
		log.Warn("once the config file is broken or names another address, a health check takes the gate for dead", "error", err)
	}
	return func() { os.Remove(kept) }
}

func startedFile(file string) (string, error) {
	folder, err := datadir.InMemory()
	if err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(absolute))
	return filepath.Join(folder, fmt.Sprintf("config-%x.yaml", sum[:8])), nil
}

// asStarted is the config that a gate was started with from a file, and whether it runs with that.
func asStarted(ctx context.Context, file string) (c config, runs bool) {
	kept, err := startedFile(file)
	if err != nil {
		return config{}, false
	}
	if c, err = loadConfig(kept); err != nil {
		return config{}, false
	}
	a, err := askInside(ctx, c.HTTP, "/readyz")
	return c, err == nil && a.gate != nil && a.gate.Config == c.identity().Config
}
