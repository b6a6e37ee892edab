// Command thermogate-console keeps what the gates of a site publish, for guards and managers.
package main

import (
	"github.com/spf13/cobra"

	"thermogate/cmd/internal/consolecmd"
	"thermogate/cmd/internal/program"
)

func main() {
	command := consolecmd.New("thermogate-console")
	command.Version, command.SilenceErrors, command.SilenceUsage = program.Version(), true, true
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return program.Usage(err) })
	program.Main(command)
}
