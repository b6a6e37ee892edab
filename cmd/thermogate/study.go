package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"thermogate/cmd/internal/program"
	"thermogate/screening/study"
	"thermogate/screening/study/picture"

	"github.com/spf13/cobra"
)

func newStudyCommand() *cobra.Command {
	var configPath, plotPath string
	var asJSON bool
	var columns study.Columns
	var round string
	var named []string
	var options study.Options
	command := &cobra.Command{
		Use:   "study PAIRS.csv",
		Short: "Offset, sensitivity and specificity from pairs of skin and oral temperature",
		Long: `Study reads pairs of skin and oral temperature, as guards get them who take a second reading with a clinical
thermometer, and says which settings suit this gate and how good they are.

PAIRS.csv names its columns in its first line: skin and oral (°C), and if there are any site (inner-canthus, forehead,
face), face (its warmest spot, °C), ambient (°C), camera, person and time. The clinical files of PhysioNet's facial and oral temperature data are read as they are.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			options.Config = config.Policy
			// The pairs are of temperatures, not of looks: whether this gate has a reference source is no matter here.
			options.Config.Referenced = true
			if err := errors.Join(chooseColumns(&columns, round, named), options.Validate()); err != nil {
				return program.Usage(err)
			}
			result, err := studyFile(args[0], columns, options)
			if err != nil {
				return fmt.Errorf("studying %s: %w", args[0], err)
			}
			if plotPath != "" {
				if err := savePlot(result, plotPath); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
			}
			return printStudy(cmd.OutOrStdout(), result, options)
		},
	}
	flags := command.Flags()
	flags.StringVarP(&configPath, "config", "c", "", "judge by the policy of this configuration `file`, not by the defaults")
	flags.StringVar(&round, "round", "1", "`round` of pictures in a clinical file, 1 to 4, or all, each as a camera of its own")
	flags.StringVar((*string)(&columns.Site), "site", "", "only this `site`: inner-canthus (or canthi), forehead or face; a clinical file is read for inner-canthus")
	flags.StringArrayVar(&named, "column", nil, "`name` of the skin temperature's column, or input=name of another's (oral, face, ambient, site, camera, person, time)")
	flags.Float64Var(&options.FebrileCelsius, "febrile", 37.5, "oral temperature from which on somebody is febrile, `°C`")
	flags.Float64Var(&options.PeoplePerDay, "people-per-day", 1000, "`number` of people through the gate in a day")
	flags.Float64Var(&options.Prevalence, "prevalence", 0.01, "`share` of them with a fever")
	flags.BoolVar(&asJSON, "json", false, "print the study as one JSON object")
	flags.StringVar(&plotPath, "plot", "", "draw the ROC and the Bland–Altman plot, `FILE.png`")
	return command
}

func chooseColumns(columns *study.Columns, round string, named []string) error {
	if columns.Round = study.AllRounds; round != "all" {
		n, err := strconv.Atoi(round)
		if err != nil || n == study.AllRounds {
			return fmt.Errorf("round %q: it is 1 to 4, or all", round)
		}
		columns.Round = n
	}
	for _, name := range named {
		if err := columns.Name(name); err != nil {
			return err
		}
	}
	return columns.Validate()
}

func studyFile(path string, columns study.Columns, options study.Options) (study.Study, error) {
	file, err := os.Open(path)
	if err != nil {
		return study.Study{}, errors.Unwrap(err)
	}
	defer file.Close()
	pairs, leftOut, err := study.ReadPairs(file, columns)
	if err != nil {
		return study.Study{}, err
	}
	return study.Evaluate(pairs, leftOut, options)
}

func savePlot(s study.Study, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("saving the plot: %w", err)
	}
	if err := picture.Write(file, s); err != nil {
		file.Close()
		return fmt.Errorf("saving the plot to %s: %w", path, err)
	}
	return file.Close()
}

func printStudy(w io.Writer, s study.Study, o study.Options) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%d pairs, %d febrile (oral ≥ %g °C)\n", s.Pairs, s.Febrile, s.FebrileCelsius)
	for _, l := range s.LeftOut {
		fmt.Fprintf(out, "Left out %d: %s (%s)\n", len(l.Lines), l.Reason, someLines(l.Lines))
	}
	if s.Untimed > 0 {
		fmt.Fprintf(out, "Without a time that can be read, and so taken in the order of the file: %d\n", s.Untimed)
	}
	fmt.Fprintln(out, "\nOral − skin, and body by the offset in use against oral (°C, 95 % intervals)")
	fmt.Fprintln(out, "camera\tsite\tpairs\toffset\tSD\tbias\tlimits of agreement")
	for _, f := range s.Offsets {
		fmt.Fprintf(out, "%s\t%s\t%d\t%s\t%.2f\t%s\t%s and %s\n", orDash(f.Camera), f.Site, f.Pairs, interval(f.OffsetCelsius, 2),
			f.SpreadCelsius, interval(f.BiasCelsius, 2), interval(f.LowerLimit, 2), interval(f.UpperLimit, 2))
	}
	if s.AmbientSlope != nil {
		fmt.Fprintf(out, "\nThe offset changes by %s °C for each °C of ambient temperature.\n", interval(*s.AmbientSlope, 3))
	}
	if s.AUC == nil {
		fmt.Fprintln(out, "\nNo ROC: that needs febrile people and others.")
	} else {
		fmt.Fprintf(out, "\nArea under the ROC: %s\n", interval(*s.AUC, 3))
	}
	printPolicies(out, "The policies with the settings in use", s.Policies, o)
	printPolicies(out, "With the settings below, which were found on these very pairs: expect a little less", s.Suggested, o)
	if s.Fused != nil {
		printFused(out, s.Fused)
	}
	fmt.Fprintf(out, "\nConfiguration:\n\n%s", s.Config)
	return out.Flush()
}

func printPolicies(out io.Writer, title string, policies []study.PolicyStudy, o study.Options) {
	fmt.Fprintf(out, "\n%s; a day of %g people, %g %% of them febrile\n", title, o.PeoplePerDay, 100*o.Prevalence)
	fmt.Fprintln(out, "policy\tsensitivity\tspecificity\talerts a day\tof them false\tmissed")
	for _, p := range policies {
		fmt.Fprintf(out, "%s\t%s\t%s\t", p.Policy, rate(p.Sensitivity), rate(p.Specificity))
		if p.PerDay == nil {
			fmt.Fprintln(out, "–\t–\t–")
			continue
		}
		fmt.Fprintf(out, "%.1f\t%.1f\t%.1f\n", p.PerDay.Alerts, p.PerDay.FalseAlerts, p.PerDay.Missed)
	}
}

// printFused says whether the fused policy is worth having here.
func printFused(out io.Writer, f *study.FusedStudy) {
	inputs := "the canthi"
	if f.Face {
		inputs += ", the face's warmest spot"
	}
	if f.Ambient {
		inputs += ", ambient"
	}
	fmt.Fprintf(out, "\nThe fused policy, from %s: %d pairs of %d people, %d at %g °C or more", inputs, f.Pairs, f.People, f.Fevers, study.FeverCelsius)
	if f.Without > 0 {
		fmt.Fprintf(out, "; %d more lack one of these", f.Without)
	}
	fmt.Fprintln(out)
	figures, title := f.InUse, "With the models in use"
	switch {
	case f.Fitted:
		figures, title = *f.CrossValidated, "With models of these pairs, each person judged by models of the others"
	case f.Shifted:
		figures, title = *f.CrossValidated, "Too few people or fevers for models of their own: those in use, shifted to these pairs"
	default:
		fmt.Fprintln(out, "Too few people for that; it is worth little below 100, of whom 10 have 38 °C or more.")
	}
	fmt.Fprintf(out, "%s:\n", title)
	printFusedFigures(out, figures)
	if figures.AUCGain == nil {
		fmt.Fprintln(out, "Whether it is better than the offset here can't be told without febrile people and others.")
		return
	}
	verdict := "Whether it is better than the offset here can't be told from these pairs"
	switch {
	case figures.AUCGain.Low > 0:
		verdict = "It is better than the offset here"
	case figures.AUCGain.High < 0:
		verdict = "It is worse than the offset here"
	}
	fmt.Fprintf(out, "%s: area %+.3f (%+.3f to %+.3f),\nsensitivity + specificity %+.3f (%+.3f to %+.3f) over the offset policy.\n", verdict,
		figures.AUCGain.Value, figures.AUCGain.Low, figures.AUCGain.High, figures.SumGain.Value, figures.SumGain.Low, figures.SumGain.High)
}

func printFusedFigures(out io.Writer, f study.FusedFigures) {
	for _, e := range []struct {
		name  string
		error *study.Interval
	}{{fmt.Sprintf("at %g °C and more", study.FeverCelsius), f.FeverError}, {"of all others", f.OthersError}} {
		if e.error != nil {
			fmt.Fprintf(out, "estimate − oral %s: %s °C\n", e.name, interval(*e.error, 2))
		}
	}
	if f.Slope != nil {
		fmt.Fprintf(out, "slope against oral temperature %.2f, spread %.2f °C\n", *f.Slope, f.SpreadCelsius)
	}
	fmt.Fprintf(out, "%.1f %% of the intervals of 95 %% hold the oral temperature\n", 100*f.Covered)
	if f.AUC == nil {
		return
	}
	fmt.Fprintln(out, "camera\tpairs\tarea, canthi alone\tarea\tsensitivity\tspecificity\tsum")
	for _, c := range f.Cameras {
		fmt.Fprintf(out, "%s\t%d\t%.3f\t%.3f\t%.2f\t%.2f\t%.3f\n", orDash(c.Camera), c.Pairs, c.CanthiAUC, c.AUC, c.Sensitivity, c.Specificity, c.Sensitivity+c.Specificity)
	}
	fmt.Fprintf(out, "mean\t\t%.3f\t%s\t%s\t%s\t%s\n", f.AUC.Value-f.AUCGain.Value, interval(*f.AUC, 3), interval(*f.Sensitivity, 2),
		interval(*f.Specificity, 2), interval(*f.Sum, 3))
}

func interval(i study.Interval, digits int) string {
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, i.Value, digits, i.Low, digits, i.High)
}

func rate(r *study.Rate) string {
	if r == nil {
		return "–"
	}
	return fmt.Sprintf("%s, %d of %d", interval(r.Interval, 2), r.Count, r.Of)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// someLines lists line numbers, the first few of many.
func someLines(lines []int) string {
	if len(lines) == 1 {
		return fmt.Sprint("line ", lines[0])
	}
	const most = 10
	var text []string
	for _, line := range lines[:min(most, len(lines))] {
		text = append(text, strconv.Itoa(line))
	}
	if len(lines) > most {
		text = append(text, "…")
	}
	return "lines " + strings.Join(text, ", ")
}
