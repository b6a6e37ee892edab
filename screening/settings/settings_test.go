package settings

import (
	"testing"
	"time"
)

type listenKeys struct {
	Listen string   `yaml:"listen"`
	Hosts  []string `yaml:"hosts"`
}

type keys struct {
	Name string `yaml:"name"`
	HTTP struct {
		listenKeys `yaml:",inline"`
		User       string `yaml:"user"`
	} `yaml:"http"`
	Wait   time.Duration `yaml:"wait"`
	Hidden *int          `yaml:"-"`
}

func TestDiffering(t *testing.T) {
	var was, is keys
	was.Name, is.Name = "a", "a"
	is.HTTP.Hosts, is.HTTP.User, is.Wait, is.Hidden = []string{"console.example"}, "x", 2*time.Second, new(int)
	const want = "http.hosts: [console.example]\nhttp.user: x\nwait: 2s"
	if got := Differing(is, was); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := Differing(was, was); got != "" {
		t.Errorf("nothing differs, but %s", got)
	}
}

func TestValues(t *testing.T) {
	celsius := 21.5
	got := Values(struct {
		keys    `yaml:",inline"`
		Ambient *float64 `yaml:"ambient_celsius"`
		Unset   *float64 `yaml:"unset"`
	}{keys{Name: "a", Wait: 2 * time.Second}, &celsius, nil})
	for key, want := range map[string]string{"name": "a", "wait": "2s", "http.user": "", "ambient_celsius": "21.5", "unset": ""} {
		if value, told := got[key]; !told || value != want {
			t.Errorf("%s is %q (%v), want %q", key, value, told, want)
		}
	}
	if _, told := got["http.hosts"]; told || len(got) < 5 {
		t.Errorf("%v", got)
	}
}
