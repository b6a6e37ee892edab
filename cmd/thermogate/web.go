package main

import (
	"fmt"

	"thermogate/screening/listen"
)

// httpConfig says where the pages, the metrics and the health checks are served. The password guards everything but the
// health checks.
type httpConfig struct {
	listen.Guarded `yaml:",inline"`
	// Language comes first on the pages: zh, en, or empty for the browser's.
	Language string `yaml:"language"`
}

func defaultHTTPConfig() httpConfig {
	return httpConfig{Guarded: listen.Guarded{Config: listen.Config{Listen: "127.0.0.1:8080"}, User: "thermogate"}}
}

// Validate names the first impossible key.
func (c httpConfig) Validate() error {
	if err := c.Guarded.Validate(); err != nil {
		return err
	}
	if c.Language != "" && c.Language != "zh" && c.Language != "en" {
		return fmt.Errorf("language is %q; it must be zh, en, or empty for the browser's", c.Language)
	}
	return nil
}
