// Command thermogate screens people for fever with a thermal camera at a gate.
package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/consolecmd"
	"thermogate/cmd/internal/program"
)

func main() { program.Main(newRootCommand()) }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "thermogate",
		Short:         "Screens people for fever with a thermal camera at a gate",
		Version:       program.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		// Letters by which a misspelt command may differ from the one it is taken for.
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return program.Usage(errors.New("say what to do: thermogate demo shows all of it, thermogate --help lists the commands"))
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return program.Usage(fmt.Errorf("%w (see thermogate %s --help)", err, cmd.Name()))
	})
	root.AddCommand(
		newRunCommand(),
		newJoinCommand(),
		newDemoCommand(),
		newReplayCommand(),
		newTrialCommand(),
		newRecordCommand(),
		newDetectCommand(),
		newBenchCommand(),
		newStudyCommand(),
		newCamerasCommand(),
		newReadCodesCommand(),
		newCheckCommand(),
		newEventsCommand(),
		newSimulateCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		consolecmd.New("console", nil),
	)
	for _, command := range append(root.Commands(), root) {
		if command.Args != nil {
			command.Args = asUsageError(command.Args)
		}
	}
	return root
}

// asUsageError makes a wrong number of arguments end the program with 2.
func asUsageError(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return program.Usage(fmt.Errorf("%w%s", err, hint(cmd, args)))
		}
		return nil
	}
}

// hint says what would be right instead of wrong arguments.
func hint(cmd *cobra.Command, args []string) string {
	if !cmd.HasSubCommands() {
		return "; it is " + cmd.UseLine()
	}
	if likely := cmd.SuggestionsFor(args[0]); len(likely) > 0 {
		return fmt.Sprintf("; did you mean %s?", strings.Join(likely, " or "))
	}
	return fmt.Sprintf(" (see %s --help)", cmd.CommandPath())
}
