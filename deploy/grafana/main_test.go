package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
)

func TestDashboardsAreUpToDate(t *testing.T) {
	made, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		shipped, err := os.ReadFile(filepath.Join("dashboards", name))
		if err != nil || !bytes.Equal(shipped, want) {
			t.Errorf("dashboards/%s is out of date (%v): go run ./deploy/grafana deploy/grafana/dashboards", name, err)
		}
	}
}

// TestGrafanaReadsThem holds what is shipped to the schema of Grafana's dashboards, and to what people need of them.
func TestGrafanaReadsThem(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	shipped, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(shipped) != 3 {
		t.Fatalf("dashboards: %v, %v", shipped, err)
	}
	addresses := map[string]bool{}
	var links []string
	for _, path := range shipped {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d file
		if err := d.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" { // a list of errors, which may be empty
			t.Errorf("%s: %v", path, err)
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		addresses[*d.Uid] = true
		links = append(links, regexp.MustCompile(`/d/([\w-]+)`).FindAllString(string(raw), -1)...)
		for _, each := range d.Panels {
			if p := each.Panel; p != nil && (*p.Title == "" || *p.Description == "" || len(p.Targets) == 0 || p.GridPos.W+p.GridPos.X > 24) {
				t.Errorf("%s: panel %q lacks a description or a query, or is too wide", path, *p.Title)
			}
		}
	}
	for _, link := range links {
		if !addresses[strings.TrimPrefix(link, "/d/")] {
			t.Errorf("%s leads nowhere", link)
		}
	}
}

// TestProvisioningIsYAML reads what a container mounts.
func TestProvisioningIsYAML(t *testing.T) {
	files, err := filepath.Glob("provisioning/*/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := yaml.Unmarshal(text, &content); err != nil || len(content) != 2 {
			t.Errorf("%s: %v, %v", path, content, err)
		}
	}
}
