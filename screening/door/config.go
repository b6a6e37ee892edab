package door

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"thermogate/screening/event"
)

// Output is what a door hangs on.
type Output string

// The outputs. The empty one is no door.
const (
	Webhook Output = "webhook"
	Modbus  Output = "modbus"
	GPIO    Output = "gpio"
)

// Rule says for whom a door opens.
type Rule string

// The rules. A code without a pass opens nothing.
const (
	OnPass        Rule = "pass"
	OnPassAndCode Rule = "pass-and-code" // and a valid pass code of the site
)

// Fail says what a lock does without power.
type Fail string

// The ways to fail, by the words locks are sold under.
const (
	Secure Fail = "secure" // locked without power: the output is energised to open
	Safe   Fail = "safe"   // open without power: the output is energised to keep locked
)

// Config is the section "door" of the configuration file.
type Config struct {
	Output Output `yaml:"output"`
	Rule   Rule   `yaml:"rule"`
	// Fail and Pulse are for outputs that hold a lock themselves, Modbus and GPIO. Whoever receives the webhook decides
	// for himself; there Pulse is how long he is taken to keep it open.
	Fail  Fail          `yaml:"fail"`
	Pulse time.Duration `yaml:"pulse"`
	// Timeout is how long the door may take to answer. The event, and those after it, are published no sooner than that.
	Timeout time.Duration `yaml:"timeout"`
	Webhook WebhookConfig `yaml:"webhook"`
	Modbus  ModbusConfig  `yaml:"modbus"`
	GPIO    GPIOConfig    `yaml:"gpio"`
}

// WebhookConfig is where passes are posted to.
type WebhookConfig struct {
	URL string `yaml:"url"`
	// SecretFile holds what requests are signed with: whsec_ and 24 to 64 bytes in base64.
	SecretFile string `yaml:"secret_file"`
	// CAFile holds the certificate authority the receiver is checked with instead of those of the system, as PEM.
	CAFile string `yaml:"ca_file"`
}

// ModbusConfig is one coil of a Modbus TCP server.
type ModbusConfig struct {
	Address string `yaml:"address"`
	Unit    int    `yaml:"unit"`
	// Coil counts from 0, as the protocol does; many manuals count from 1.
	Coil int `yaml:"coil"`
}

// GPIOConfig is one line of a Linux GPIO chip.
type GPIOConfig struct {
	Chip string `yaml:"chip"`
	Line int    `yaml:"line"`
	// ActiveLow is for relay boards that switch on when the line is low.
	ActiveLow bool `yaml:"active_low"`
}

// DefaultConfig is no door.
func DefaultConfig() Config {
	return Config{
		Rule:    OnPass,
		Fail:    Secure,
		Pulse:   3 * time.Second,
		Timeout: 500 * time.Millisecond,
		Modbus:  ModbusConfig{Unit: 1},
		GPIO:    GPIOConfig{Chip: "/dev/gpiochip0"},
	}
}

// Validate names the first key that is wrong and what would be right, without the "door." before it. It opens no file.
func (c Config) Validate() error {
	switch {
	case c.Rule != OnPass && c.Rule != OnPassAndCode:
		return fmt.Errorf("rule: %q is neither %s nor %s", c.Rule, OnPass, OnPassAndCode)
	case c.Fail != Secure && c.Fail != Safe:
		return fmt.Errorf("fail: %q is neither %s (locked without power) nor %s (open without power)", c.Fail, Secure, Safe)
	case c.Pulse < 100*time.Millisecond || c.Pulse > time.Minute:
		return fmt.Errorf("pulse: %v is not between 100ms and 1m", c.Pulse)
	case c.Timeout < 10*time.Millisecond || c.Timeout > 2*time.Second:
		return fmt.Errorf("timeout: %v is not between 10ms and 2s", c.Timeout)
	}
	switch c.Output {
	case "":
		return nil
	case Webhook:
		if c.Fail == Safe {
			return fmt.Errorf("fail: a webhook keeps no lock energised; say %s here, and let the receiver see to the lock", Secure)
		}
		return c.Webhook.validate()
	case Modbus:
		return c.Modbus.validate()
	case GPIO:
		return c.GPIO.validate()
	}
	return fmt.Errorf("output: %q is not %s, %s, %s, or empty for no door", c.Output, Webhook, Modbus, GPIO)
}

func (c WebhookConfig) validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("webhook.url: it must be an address such as https://door.example/open")
	case u.User != nil:
		return errors.New("webhook.url: user and password do not belong in the address; requests are signed with the secret in secret_file")
	case c.SecretFile == "":
		return errors.New("webhook.secret_file: name the file that holds the secret requests are signed with")
	case c.CAFile != "" && u.Scheme == "http":
		return errors.New("webhook.ca_file: the address is not encrypted; use https:// or leave this out")
	}
	return nil
}

func (c ModbusConfig) validate() error {
	host, port, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil || host == "" || port == "":
		return fmt.Errorf("modbus.address: %q is not HOST:PORT, such as 192.0.2.7:502", c.Address)
	case c.Unit < 0 || c.Unit > 255:
		return fmt.Errorf("modbus.unit: %d is not between 0 and 255", c.Unit)
	case c.Coil < 0 || c.Coil > 0xFFFF:
		return fmt.Errorf("modbus.coil: %d is not between 0 and 65535", c.Coil)
	}
	return nil
}

func (c GPIOConfig) validate() error {
	switch {
	case c.Chip == "":
		return errors.New("gpio.chip: name the chip's device, such as /dev/gpiochip0")
	case c.Line < 0 || c.Line > 0xFFFF:
		return fmt.Errorf("gpio.line: %d is not between 0 and 65535", c.Line)
	}
	return nil
}

// opensFor says whether an event opens the door: a pass, and where the rule asks for a code one that names its bearer, or the event
// that does so afterwards.
func (c Config) opensFor(e event.Event) bool {
	switch e.Data.Outcome {
	case event.Pass:
		return c.Rule == OnPass || e.Data.Person != nil && e.Data.Person.Signed
	case event.Named:
		return c.Rule == OnPassAndCode && e.Data.Person != nil && e.Data.Person.Signed
	}
	return false
}

// newOutput reads the files that the config names, and connects to nothing.
func (c Config) newOutput() (output, error) {
	switch c.Output {
	case Webhook:
		return newWebhook(c.Webhook, c.Pulse)
	case Modbus:
		return newLock(&modbus{cfg: c.Modbus}, c), nil
	default:
		return newLock(&gpio{cfg: c.GPIO}, c), nil
	}
}
