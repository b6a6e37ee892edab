// Command page writes the page of figures: it reads what "thermogate trial --json" printed and puts it, with the first
// comment of each scenario, into the page's template.
//
//	thermogate trial --json SCENARIOS/*.yaml | page SCENARIOS >README.md
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"thermogate/screening/gate/trial"
)

//go:embed page.md
var page string

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "page: name the folder of the scenarios")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Stdin, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// row is one scenario.
type row struct {
	trial.Result
	Question string // what the scenario is about
}

func write(out io.Writer, in io.Reader, dir string) error {
	var rows []row
	for decoder := json.NewDecoder(in); ; {
		var r row
		if err := decoder.Decode(&r.Result); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading results: %w", err)
		}
		var err error
		if r.Question, err = firstComment(filepath.Join(dir, r.Scenario)); err != nil {
			return err
		}
		r.Scenario = strings.TrimSuffix(r.Scenario, ".yaml")
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return errors.New("there are no results")
	}
	t, err := template.New("page").Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(out, rows)
}

// firstComment is the text at the head of a file.
func firstComment(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var words []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, ok := strings.CutPrefix(lines.Text(), "# ")
		if !ok {
			break
		}
		words = append(words, text)
	}
	if words == nil {
		return "", fmt.Errorf("%s does not begin with a comment that says what it is about", path)
	}
	return strings.Join(words, " "), nil
}
