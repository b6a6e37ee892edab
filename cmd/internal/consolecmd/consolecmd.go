// Package consolecmd is the command that runs a console, a program of its own and a part of thermogate.
package consolecmd

import (
	"context"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/settings"
)

// ExampleConfig lists all keys of a console's config.
const ExampleConfig = "deploy/thermogate-console.yaml"

// New returns the command under its name.
func New(name string) *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:   name,
		Short: "The console: keeps what gates publish, for guards and managers",
		Args:  program.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := LoadConfig(configPath)
			if err != nil {
				return program.Usage(err)
			}
			return run(cmd.Context(), cfg, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	command.PersistentFlags().StringVarP(&configPath, "config", "c", "", "config file of the console")
	command.AddCommand(newBackupCommand(&configPath), newRestoreCommand(&configPath), newAuditCommand(&configPath), newProveCommand(&configPath), newCheckCommand(&configPath))
	return command
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
