package consolecmd

import (
	"context"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/nats-io/nats.go"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/console/district"
	"thermogate/screening/settings"
)

// ExampleDistrictConfig lists all keys of the config of a district's console.
const ExampleDistrictConfig = "deploy/thermogate-district.yaml"

// District starts the server of a district that has no other, connects to it, and returns what ends both.
type District func(cfg district.OneNode, log *slog.Logger) (conn *nats.Conn, end func(), err error)

func loadDistrict(path string) (console.DistrictConfig, error) {
	cfg := console.DefaultDistrictConfig()
	if path == "" {
		return cfg, nil
	}
	return cfg, settings.Load(path, &cfg, func() error { return cfg.Validate() }, ExampleDistrictConfig)
}

func runDistrict(ctx context.Context, cfg console.DistrictConfig, own District, log *slog.Logger) error {
	conn, end, err := connect(cfg, own, log)
	if err != nil {
		return err
	}
	defer end()
	c, err := console.OpenDistrict(ctx, cfg, conn, program.Version(), log)
	if err != nil {
		return err
	}
	defer c.Close()
	log.Info("console of a district opens", "name", cfg.Name, "pages", cfg.HTTP.Scheme()+"://"+cfg.HTTP.Listen)
	daemon.SdNotify(false, daemon.SdNotifyReady)
	defer daemon.SdNotify(false, daemon.SdNotifyStopping)
	return c.Run(ctx)
}

func connect(cfg console.DistrictConfig, own District, log *slog.Logger) (*nats.Conn, func(), error) {
	if !cfg.District.Enabled() {
		return own(cfg.District.Own, log)
	}
	conn, err := district.Connect(cfg.District.Config, cfg.Name, log)
	if err != nil {
		return nil, nil, err
	}
	return conn, conn.Close, nil
}
