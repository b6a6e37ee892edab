// Command thermogate-console keeps what the gates of a site publish, for guards and managers.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"thermogate/screening/console"
	"thermogate/screening/settings"
)

// exampleConfig lists all keys.
const exampleConfig = "deploy/thermogate-console.yaml"

// usageError marks what the caller can mend: a wrong flag or config. It ends the program with 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "thermogate-console:", err)
	if errors.As(err, &usageError{}) {
		os.Exit(2)
	}
	os.Exit(1)
}

func newCommand() *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:           "thermogate-console",
		Short:         "Keeps what gates publish, for guards and managers",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the console")
	return command
}

func loadConfig(path string) (console.Config, error) {
	cfg := console.DefaultConfig()
	if path == "" {
		return cfg, nil
	}
	if err := settings.Load(path, &cfg, func() error { return cfg.Validate() }, exampleConfig); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

func run(ctx context.Context, cfg console.Config, log *slog.Logger) error {
	c, err := console.Open(ctx, cfg, version(), log)
	if err != nil {
		return err
	}
	defer c.Close()
	log.Info("console opens", "name", cfg.Name, "pages", cfg.HTTP.Scheme()+"://"+cfg.HTTP.Listen, "broker", cfg.MQTT.Broker)
	daemon.SdNotify(false, daemon.SdNotifyReady)
	defer daemon.SdNotify(false, daemon.SdNotifyStopping)
	return c.Run(ctx)
}

// version is what the Go toolchain recorded of the source: a tag, or a commit and its time.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
