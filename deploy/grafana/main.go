// Command grafana writes the dashboards for Grafana: one for a gate, one for a plant, one for a district.
//
//	go run ./deploy/grafana deploy/grafana/dashboards
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./deploy/grafana FOLDER")
		os.Exit(2)
	}
	files, err := files()
	for name, content := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], name), content, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}

// files are the dashboards as Grafana reads them, by the names of their files.
func files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, builder := range map[string]*board{
		"gate.json":     gate(),
		"plant.json":    plant(),
		"district.json": district(),
	} {
		built, err := builder.Build()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		built.SchemaVersion = 41 // of Grafana 11; a newer one brings it up to its own
		number(&built)
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(built); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = out.Bytes()
	}
	return files, nil
}
