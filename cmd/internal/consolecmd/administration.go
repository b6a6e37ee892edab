package consolecmd

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"thermogate/cmd/internal/program"
	"thermogate/screening/console/store"
)

func newBackupCommand(from *source) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copies the store to a file while the console runs",
		Long: `Backup copies the SQLite store to a new file, while the console goes on with its work or while it is stopped, and looks the
copy through. The file holds all that the console knows of people: keep it as safe as the store. The audit has a line of it.`,
		Args: program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := look(cmd, *from)
			if err != nil {
				return err
			}
			defer s.Close()
			backup, err := s.Backup(cmd.Context(), args[0], whoRuns())
			if err != nil {
				return err
			}
			return tell(cmd, "backed up to", backup)
		},
	}
}

func newRestoreCommand(from *source) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Puts a backup into a machine that has no store",
		Long: `Restore looks a backup through and puts it in the place of the store that the config names, which must not be there yet.
Run it as the user that the console runs as, and start the console then. Gates send again what they still have of the time
after the backup.`,
		Args: program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := from.store()
			if err != nil {
				return program.Usage(err)
			}
			backup, err := store.Restore(cmd.Context(), cfg, args[0], whoRuns(), quiet(cmd))
			if err != nil {
				return err
			}
			return tell(cmd, "restored to "+cfg.File+" from", backup)
		},
	}
}

func tell(cmd *cobra.Command, what string, b store.Backup) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %d events, %d bytes, sha256 %s\naudit unbroken up to %s\n", what, b.Path, b.Events, b.Bytes, b.SHA256, b.Audit)
	return err
}

func newAuditCommand(from *source) *cobra.Command {
	var seen []string
	command := &cobra.Command{
		Use:   "audit",
		Short: "Verifies that nobody has changed the audit",
		Long: `Audit reads every line of the audit, and tells where it ends, as NUMBER:HASH. Each line carries a hash over itself and the
one before. Keep what it tells somewhere else; --seen NUMBER:HASH then proves later that nothing up to there was changed
since. Without it, somebody who can write to the database could have made all of the audit anew. It ends with 1 where a
line was changed.`,
		Args: program.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var ends []store.AuditEnd
			for _, text := range seen {
				end, err := store.ParseAuditEnd(text)
				if err != nil {
					return program.Usage(fmt.Errorf("--seen: %w", err))
				}
				ends = append(ends, end)
			}
			s, err := look(cmd, *from)
			if err != nil {
				return err
			}
			defer s.Close()
			end, lines, err := s.VerifyAudit(cmd.Context(), ends...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the audit is unbroken: %d lines, up to %s\n", lines, end)
			return err
		},
	}
	command.Flags().StringArrayVar(&seen, "seen", nil, "an end of the audit that was told before, NUMBER:HASH; may be given again")
	return command
}

func newProveCommand(from *source) *cobra.Command {
	return &cobra.Command{
		Use:   "prove FILE",
		Short: "Proves that what an export of an event holds was deleted",
		Long: `Prove compares the export of an event, or of a person, to what the console noted when it was deleted. It ends with 1 where it was
not deleted, or was another when it was.`,
		Args: program.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			id, sum, person, err := store.ReadExport(file)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			s, err := look(cmd, *from)
			if err != nil {
				return err
			}
			defer s.Close()
			what := "event"
			d, err := s.Deletion(cmd.Context(), id)
			if person {
				var f store.Forgotten
				what = "person"
				f, err = s.ForgottenAs(cmd.Context(), id)
				d = store.Deletion{At: f.At, By: f.By, Reason: f.Reason, SHA256: f.SHA256}
			}
			if err != nil {
				return fmt.Errorf("nobody has deleted it: %w", err)
			}
			if d.SHA256 != sum {
				return fmt.Errorf("%s %s was another when it was deleted: its record had the SHA-256 %s, and that in %s has %s", what, id, d.SHA256, args[0], sum)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s was deleted as it is in %s: %s, by %s: %s\nsha256 of its record %s\n",
				what, id, args[0], d.At.Format("2006-01-02 15:04:05Z07:00"), d.By, d.Reason, sum)
			return err
		},
	}
}

// look opens the store that the config names, beside a console that may run.
func look(cmd *cobra.Command, from source) (*store.Store, error) {
	cfg, err := from.store()
	if err != nil {
		return nil, program.Usage(err)
	}
	return store.Look(cmd.Context(), cfg, quiet(cmd))
}

// quiet logs what goes wrong.
func quiet(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// whoRuns is what the audit calls whoever gives a command.
func whoRuns() store.Author {
	name := cmp.Or(os.Getenv("SUDO_USER"), fmt.Sprint(os.Getuid()))
	if u, err := user.Current(); err == nil && os.Getenv("SUDO_USER") == "" {
		name = u.Username
	}
	return store.Author{Account: "$ " + name}
}
