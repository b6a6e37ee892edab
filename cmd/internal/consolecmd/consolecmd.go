// Package consolecmd is the command that runs a console, a program of its own and a part of thermogate.
package consolecmd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/settings"
)

// ExampleConfig lists all keys of a console's config.
const ExampleConfig = "deploy/thermogate-console.yaml"

// New returns the command under its name. Without a District there is none of a district.
func New(name string, own District) *cobra.Command {
	var from source
	command := &cobra.Command{
		Use:   name,
		Short: "The console: keeps what gates publish, for guards and managers",
		Args:  program.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			if from.district {
				cfg, err := loadDistrict(from.path)
				if err != nil {
					return program.Usage(err)
				}
				cfg.Identity = identify(cfg.Name, cfg)
				return runDistrict(cmd.Context(), cfg, own, log)
			}
			cfg, err := LoadConfig(from.path)
			if err != nil {
				return program.Usage(err)
			}
			cfg.Identity = identify(cfg.Name, cfg)
			return run(cmd.Context(), cfg, log)
		},
	}
	command.PersistentFlags().StringVarP(&from.path, "config", "c", "", "config file of the console")
	if own != nil {
		command.PersistentFlags().BoolVar(&from.district, "district", false, "the console of a district: it keeps what the consoles of plants tell")
	}
	command.AddCommand(newBackupCommand(&from), newRestoreCommand(&from), newAuditCommand(&from), newProveCommand(&from), newCheckCommand(&from))
	return command
}

// source is which config there is, and of which kind of console.
type source struct {
	path     string
	district bool
}

// store is the part of the config that says where all is kept.
func (s source) store() (store.Config, error) {
	if s.district {
		cfg, err := loadDistrict(s.path)
		return cfg.Store, err
	}
	cfg, err := LoadConfig(s.path)
	return cfg.Store, err
}

// pages are where the console of the config serves, and which console that is.
func (s source) pages() (listen.Guarded, console.Identity, error) {
	if s.district {
		cfg, err := loadDistrict(s.path)
		cfg.HTTP.Folder = console.CertificateFolder(cfg.Store)
		return cfg.HTTP, identify(cfg.Name, cfg), err
	}
	cfg, err := LoadConfig(s.path)
	cfg.HTTP.Folder = console.CertificateFolder(cfg.Store)
	return cfg.HTTP, identify(cfg.Name, cfg), err
}

// identify tells a console that starts now from others, and from itself with another config.
func identify(name string, config any) console.Identity {
	return console.Identity{Console: name, Config: settings.Hash(config), Started: time.Now().UTC().Truncate(time.Second)}
}

// LoadConfig reads the file over the defaults; an empty path leaves these.
func LoadConfig(path string) (console.Config, error) {
	cfg := console.DefaultConfig()
	if path == "" {
		return cfg, nil
	}
	return cfg, settings.Load(path, &cfg, func() error { return cfg.Validate() }, ExampleConfig)
}

func run(ctx context.Context, cfg console.Config, log *slog.Logger) error {
	c, err := console.Open(ctx, cfg, program.Version(), log)
	if err != nil {
		return err
	}
	defer c.Close()
	log.Info("console opens", "name", cfg.Name, "pages", cfg.HTTP.Scheme()+"://"+cfg.HTTP.Listen, "broker", cfg.MQTT.Broker)
	daemon.SdNotify(false, daemon.SdNotifyReady)
	defer daemon.SdNotify(false, daemon.SdNotifyStopping)
	return c.Run(ctx)
}
