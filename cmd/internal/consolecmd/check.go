package consolecmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/listen"
)

// askTime is how long a console may take to say how it is.
const askTime = 5 * time.Second

func newCheckCommand(from *source) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Asks the console that runs with this config whether it is alive",
		Long: `Check asks the console that runs with this config, as the health check of a container does, and prints what its /readyz says.
It ends with 1 where none answers, or a restart would help. That it was started with another config than the file has now
it prints as well; that is no failure, for the console goes on as it was started.`,
		Args: program.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			pages, own, err := from.pages()
			if err != nil {
				return program.Usage(err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), askTime)
			defer cancel()
			alive, well, err := ask(ctx, pages, "/healthz", nil)
			if err != nil {
				return err
			}
			if !well {
				return fmt.Errorf("what answers at %s is not well: %s", pages.Listen, alive)
			}
			said, doubt := compare(ctx, pages, own, from.path)
			if doubt != nil {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", doubt)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), cmp.Or(said, alive))
			return err
		},
	}
}

// compare asks a console for more than anybody is told, and says why it may be another than that of the file.
func compare(ctx context.Context, pages listen.Guarded, own console.Identity, file string) (said string, doubt error) {
	login, err := pages.LogIn()
	if err != nil {
		return "", fmt.Errorf("whether it is this console is not known: %w", err)
	}
	said, _, err = ask(ctx, pages, "/readyz?verbose", login)
	if err != nil {
		return "", fmt.Errorf("whether it is this console is not known: %w", err)
	}
	var found console.Identity
	if err := json.Unmarshal([]byte(said), &found); err != nil || found.Console == "" {
		return said, errors.New("whether it is this console is not known: it does not say; it may be an older one, one within a gate, or none")
	}
	if found.Config != own.Config {
		return said, fmt.Errorf("the console that answers at %s, %s, was started at %s with another config than %s, which names %s: if it is this one, restart it to use that, else give one of them another http.listen",
			pages.Listen, found.Console, found.Started.Local().Format("2006-01-02 15:04:05"), cmp.Or(file, "the defaults"), own.Console)
	}
	return said, nil
}

// ask gets what a console says at a path, and whether that is that all is well.
func ask(ctx context.Context, pages listen.Guarded, path string, login *url.Userinfo) (text string, well bool, err error) {
	status, body, err := pages.Ask(ctx, "console", path, login)
	if err != nil {
		return "", false, err
	}
	text = strings.TrimSpace(string(body))
	if !strings.HasPrefix(text, `{"status"`) {
		return "", false, fmt.Errorf("what answers at %s is no console: %d %s", pages.Listen, status, http.StatusText(status))
	}
	return text, status == http.StatusOK, nil
}
