// Command licences prints what the licences of the software in thermogate ask to be passed on with it: which modules the programs
// are built of, and their licences word by word.
//
//	go run ./deploy/licences >deploy/third-party-licences.txt
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed preface.txt
var preface string

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// notice is one text and who comes under it.
type notice struct {
	text string
	of   []string
}

func write(w io.Writer) error {
	sources, err := sources()
	if err != nil {
		return err
	}
	var notices []*notice
	for _, source := range sources {
		texts, err := source.texts()
		if err != nil {
			return err
		}
		for _, text := range texts {
			i := slices.IndexFunc(notices, func(n *notice) bool { return n.text == text })
			if i < 0 {
				i = len(notices)
				notices = append(notices, &notice{text: text})
			}
			if !slices.Contains(notices[i].of, source.name) {
				notices[i].of = append(notices[i].of, source.name)
			}
		}
	}
	var out bytes.Buffer
	out.WriteString(preface)
	for _, notice := range notices {
		fmt.Fprintf(&out, "\n%s\n\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(notice.of, "\n"), notice.text)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// source is a module, or Go itself, with the folders of it that the programs are built of.
type source struct {
	name, root string
	folders    []string
}

// sources lists what the programs link, on every machine the same.
func sources() ([]source, error) {
	root, err := goTool("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	list := []source{{name: "The Go programming language", root: root, folders: []string{root}}}
	packages, err := goTool("list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", "thermogate/cmd/...")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(packages) {
		name, folders, found := strings.Cut(strings.TrimSpace(line), "\t")
		if !found {
			continue // a package of Go or of our own
		}
		root, folder, _ := strings.Cut(folders, "\t")
		i := slices.IndexFunc(list, func(s source) bool { return s.name == name })
		if i < 0 {
			i = len(list)
			list = append(list, source{name: name, root: root})
		}
		list[i].folders = append(list[i].folders, folder)
	}
	slices.SortFunc(list[1:], func(a, b source) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

func goTool(args ...string) (string, error) {
	command := exec.Command("go", args...)
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, &complaint)
	}
	return strings.TrimSpace(string(out)), nil
}

var isNotice = regexp.MustCompile(`(?i)^(licen[sc]e|copying|copyright|notice|patents)([.-].*)?$`)

// texts are the licences and notices that lie in the folders a source is linked from and above them.
func (s source) texts() ([]string, error) {
	seen := map[string]bool{}
	var texts []string
	for _, folder := range s.folders {
		for dir := folder; !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			found, err := textsIn(dir)
			if err != nil {
				return nil, err
			}
			texts = append(texts, found...)
			if dir == s.root {
				break
			}
		}
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s comes without a licence", s.name)
	}
	slices.Sort(texts)
	return texts, nil
}

func textsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, entry := range entries {
		if entry.IsDir() || !isNotice.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, plain(string(text)))
	}
	return texts, nil
}

// plain leaves out what differs between copies of the same text.
func plain(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\f")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
