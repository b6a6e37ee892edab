// Command thermogate-console keeps what the gates of a site publish, or the plants of a district tell, for guards and managers.
package main

import (
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"thermogate/cmd/internal/consolecmd"
	"thermogate/cmd/internal/program"
	"thermogate/screening/console/district"
	"thermogate/screening/console/district/onenode"
)

func main() {
	command := consolecmd.New("thermogate-console", ownServer)
	command.Version, command.SilenceErrors, command.SilenceUsage = program.Version(), true, true
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return program.Usage(err) })
	program.Main(command)
}

// ownServer is that of a district to try out. Its data is safe with it, and nothing else.
func ownServer(cfg district.OneNode, log *slog.Logger) (*nats.Conn, func(), error) {
	server, err := onenode.Start(cfg, log)
	if err != nil {
		return nil, nil, fmt.Errorf("district.own.%w", err)
	}
	conn, err := server.Connect()
	if err != nil {
		server.Close()
		return nil, nil, fmt.Errorf("the district's own server: %w", err)
	}
	log.Info("plants can tell this district", "servers", server.URL(), "user", cfg.User)
	if user, password := server.Made(); password != "" {
		log.Info("the password of plants; it is told this once", "user", user, "password", password)
	}
	return conn, func() { conn.Close(); server.Close() }, nil
}
