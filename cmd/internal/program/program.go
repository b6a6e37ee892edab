// Package program is what the commands of the project have in common: how they begin and end, and their version.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// UsageError marks what the caller can mend: a wrong command, flag or config. It ends the program with 2.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Usage makes an error a UsageError.
func Usage(err error) error { return UsageError{err} }

// ExactArgs lets a command take so many arguments; others are a UsageError.
func ExactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return Usage(fmt.Errorf("%w; it is %s", err, cmd.UseLine()))
		}
		return nil
	}
}

// Main executes the command until SIGINT or SIGTERM, and ends the program.
func Main(command *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends what does not notice the first
	err := command.ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, command.Name()+":", err)
	if errors.As(err, &UsageError{}) {
		os.Exit(2)
	}
	os.Exit(1)
}

// Version is what the Go toolchain recorded of the source: a tag, or a commit and its time.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
