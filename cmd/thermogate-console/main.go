// Command thermogate-console keeps what the gates of a site publish, for guards and managers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/consolecmd"
)

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
	command := consolecmd.New("thermogate-console", version(), func(err error) error { return usageError{err} })
	command.Version, command.SilenceErrors, command.SilenceUsage = version(), true, true
	takesNothing := command.Args
	command.Args = func(cmd *cobra.Command, args []string) error {
		if err := takesNothing(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return command
}

// version is what the Go toolchain recorded of the source: a tag, or a commit and its time.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
