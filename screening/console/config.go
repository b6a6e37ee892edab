package console

import (
	"fmt"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/district"
	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/console/web"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

// Config is the one file of a console. deploy/thermogate-console.yaml explains every key.
type Config struct {
	// Name is what gates and broker know this console by; no two at a broker share one.
	Name  string       `yaml:"name"`
	Store store.Config `yaml:"store"`
	MQTT  BrokerConfig `yaml:"mqtt"`
	// HTTP is where pages, health and metrics are served. The password guards the metrics and what health checks say in
	// words; pages have accounts.
	HTTP  listen.Guarded `yaml:"http"`
	Pages web.Config     `yaml:"pages"`
	// OIDC has people log in with the accounts of their company.
	OIDC accounts.OIDC `yaml:"oidc"`
	// Reports are files that are written by themselves.
	Reports reports.Config `yaml:"reports"`
	// District is told what the gates of this plant publish; empty without one.
	District district.Config `yaml:"district"`
}

// BrokerConfig says which broker the gates publish to, as mqtt.Config does.
type BrokerConfig struct {
	Broker       string        `yaml:"broker"`
	ClientID     string        `yaml:"client_id"` // empty is thermogate-console-NAME
	User         string        `yaml:"user"`
	PasswordFile string        `yaml:"password_file"`
	PasswordEnv  string        `yaml:"password_env"`
	CAFile       string        `yaml:"ca_file"`
	CertFile     string        `yaml:"cert_file"`
	KeyFile      string        `yaml:"key_file"`
	KeepAlive    time.Duration `yaml:"keep_alive"`
	// Own is a gate's own broker in the same process, instead of all others.
	Own *mqtt.Broker `yaml:"-"`
}

// DefaultConfig is a console for a broker on this machine.
func DefaultConfig() Config {
	broker := mqtt.DefaultConfig()
	return Config{
		Name:  "console",
		Store: store.DefaultConfig(),
		MQTT:  BrokerConfig{Broker: broker.Broker, KeepAlive: broker.KeepAlive},
		HTTP:  listen.Guarded{Config: listen.Config{Listen: "127.0.0.1:8090"}, User: "thermogate"},
		Pages: web.DefaultConfig(),
		OIDC:  accounts.DefaultOIDC(),

		Reports: reports.DefaultConfig(),
	}
}

// Validate names the first key that is wrong and what would be right. It opens no file.
func (c Config) Validate() error {
	for _, section := range []struct {
		name     string
		validate func() error
	}{
		{"store", c.Store.Validate},
		{"mqtt", c.MQTT.config().Validate},
		{"http", c.HTTP.Validate},
		{"pages", c.Pages.Validate},
		{"oidc", c.OIDC.Validate},
		{"reports", c.Reports.Validate},
		{"district", c.District.Validate},
	} {
		if err := section.validate(); err != nil {
			return fmt.Errorf("%s.%w", section.name, err)
		}
	}
	return nil
}

func (c BrokerConfig) config() mqtt.Config {
	full := mqtt.DefaultConfig()
	full.Broker, full.ClientID, full.User, full.PasswordFile, full.PasswordEnv = c.Broker, c.ClientID, c.User, c.PasswordFile, c.PasswordEnv
	full.CAFile, full.CertFile, full.KeyFile, full.KeepAlive, full.Own = c.CAFile, c.CertFile, c.KeyFile, c.KeepAlive, c.Own
	return full
}
