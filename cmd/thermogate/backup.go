package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/datadir"
	"thermogate/screening/journal"
	"thermogate/screening/mqtt"
)

func newBackupCommand() *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copies what a gate has on disk to a file, while the gate runs",
		Long: `Backup copies the data folder of a gate to a new file, while the gate goes on with its work or while it is stopped, and looks
the copy through: the journal, what its own broker keeps for others, what was learnt of the people here and of the reference
source, and keys that the gate has made for itself. Keep the file as safe as the folder. The config, and the files that it
names elsewhere, are not in it, nor are clips and the store of a console that runs within the gate.`,
		Example: "  thermogate backup -c /etc/thermogate/thermogate.yaml /mnt/backup/north-2026-03-02.zip",
		Args:    program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(c.DataDir, journalName)); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no journal in data_dir %s; name the config of the gate with -c", c.DataDir)
			}
			backup, err := datadir.Save(cmd.Context(), c.DataDir, args[0], datadir.Plan{
				Of: c.Site + "/" + c.Gate, Program: program.Version(), First: journalName, LeavesOut: leftOutOfBackups,
			})
			if err != nil {
				return err
			}
			for _, name := range backup.LeftOut {
				if what := explainLeftOut(name); what != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "not in it: %s (%s)\n", filepath.Join(c.DataDir, name), what)
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "backed up to %s: %d files of %s, %d bytes, sha256 %s\n",
				args[0], len(backup.Files), backup.Of, backup.Bytes, backup.SHA256)
			return err
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	return command
}

// Folders and files in the data folder that are in no backup.
const (
	clipsName   = "clips"
	consoleName = "console"
)

func leftOutOfBackups(name string) bool {
	passing := slices.ContainsFunc([]string{".reserve", ".anew", ".part"}, func(end string) bool { return strings.HasSuffix(name, end) })
	return passing || explainLeftOut(name) != ""
}

// explainLeftOut says why something is in no backup; empty for what nobody needs.
func explainLeftOut(name string) string {
	switch {
	case name == clipsName:
		return "pictures of people; copy it yourself where you want to keep them"
	case name == consoleName:
		return "thermogate console backup copies it"
	case strings.Contains(name, ".damaged-"), strings.Contains(name, ".replaced-"):
		return "it was set aside"
	}
	return ""
}

func newRestoreCommand() *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:   "restore FILE",
		Short: "Puts a backup of a gate into a machine that has no data of it",
		Long: `Restore looks a backup through and puts it into the data folder that the config names, which must be empty or not be there
yet. Start the gate then; the machine that the backup is of must not run any more. Its events go on from there: those in the
backup keep their numbers, and those to come are of a new journal, so that nothing is taken for something else that the old machine has
published since.`,
		Args: program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			var pending int
			backup, err := datadir.Restore(c.DataDir, "thermogate", args[0], journalName, func(b datadir.Backup, folder string) (err error) {
				if self := c.Site + "/" + c.Gate; b.Of != self {
					return fmt.Errorf("it is of the gate %s, and the config is of %s", b.Of, self)
				}
				if err := checkBrokerIn(folder); err != nil {
					return err
				}
				pending, err = journal.Move(cmd.Context(), filepath.Join(folder, journalName))
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "restored to %s from %s: %d files of %s, as of %s, sha256 %s\n%d events are to be published\n",
				c.DataDir, args[0], len(backup.Files), backup.Of, backup.Made.Format("2006-01-02 15:04:05Z07:00"), backup.SHA256, pending)
			return err
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	return command
}

func checkBrokerIn(folder string) error {
	path := filepath.Join(folder, brokerName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // the gate had another broker
	}
	return mqtt.CheckBrokerFile(path)
}
