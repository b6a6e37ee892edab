package consolecmd

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/listen"
)

func newCheckCommand(from *source) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Asks the console that runs with this config whether it is alive",
		Args:  program.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := from.http()
			if err != nil {
				return program.Usage(err)
			}
			client, err := cfg.Client()
			if err != nil {
				return err
			}
			client.Timeout = 5 * time.Second
			response, err := client.Get(cfg.Scheme() + "://" + listen.Reachable(cfg.Listen) + "/healthz")
			if err != nil {
				return fmt.Errorf("no console answers at %s: %w", cfg.Listen, err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
			if err != nil {
				return fmt.Errorf("asking the console at %s: %w", cfg.Listen, err)
			}
			text := strings.TrimSpace(string(body))
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("what answers at %s says %s: %s", cfg.Listen, response.Status, text)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
}
