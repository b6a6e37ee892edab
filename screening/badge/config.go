// Package badge finds out who somebody says they are: it takes what readers of badges and pass codes read, checks it without a
// network, and pairs it with the visit of whoever stands before the gate. No number of a badge leaves it, nor does a name come in.
package badge

import (
	"errors"
	"fmt"
	"time"
)

// Config is the section "badge" of the configuration file. A reader over MQTT is allowed by mqtt.commands, and one with a lens is
// camera.visible.
type Config struct {
	// Inputs are the readers on this machine that type, as the paths of their devices or as vendor:product or
	// vendor:product:serial in hexadecimal digits.
	Inputs []string `yaml:"inputs"`
	// WebhookSecretFile holds what requests to /badge/webhook are signed with: whsec_ and 24 to 64 bytes in base64. Empty takes none.
	WebhookSecretFile string `yaml:"webhook_secret_file"`
	// Page has the page at the gate take what a reader types into its browser.
	Page bool `yaml:"page"`
	// SiteKeyFile holds the public key of the site's pass codes, in PEM, that the gate begins with: it follows the site to others.
	// Empty takes no pass codes.
	SiteKeyFile string `yaml:"site_key_file"`
	// NumberKeyFile holds the secrets under which numbers on badges become pseudonyms, on one line; empty takes no numbers.
	NumberKeyFile string `yaml:"number_key_file"`
	// Repeat is how long a code is nobody else's after somebody has shown it.
	Repeat time.Duration `yaml:"repeat"`
}

// DefaultConfig has no reader.
func DefaultConfig() Config { return Config{Repeat: 10 * time.Minute} }

// Validate names the first key that is wrong and what would be right, without the "badge." before it. It opens no file. Others
// says whether there are readers that other sections switch on.
func (c Config) Validate(others bool) error {
	for _, input := range c.Inputs {
		if _, err := parseInput(input); err != nil {
			return fmt.Errorf("inputs: %w", err)
		}
	}
	switch {
	case c.Repeat < 0 || c.Repeat > 24*time.Hour:
		return fmt.Errorf("repeat is %s; it must be 0s to 24h", c.Repeat)
	case c.hasReader(others) && c.SiteKeyFile == "" && c.NumberKeyFile == "":
		return errors.New("site_key_file: there is a reader, and nothing to check by what it reads: give this for pass codes, number_key_file for numbers, or both")
	}
	return nil
}

func (c Config) hasReader(others bool) bool {
	return others || len(c.Inputs) > 0 || c.WebhookSecretFile != "" || c.Page
}
