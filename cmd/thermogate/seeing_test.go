package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"thermogate/camera"
	"thermogate/screening/badge"
	"thermogate/screening/console"
	"thermogate/screening/console/district"
	"thermogate/screening/console/district/onenode"
	"thermogate/screening/metrics"
	"thermogate/testdata"
)

// empty are parts of queries that come to nothing at a demo of a minute or two in which all goes well, and why.
var empty = map[string]string{
	"thermogate_baseline_celsius":  "the usual reading takes 30 people",
	"thermogate_badge_reads_total": "the demo has no readers",
	`ALERTS_FOR_STATE{instance="`:  "nothing is wrong with the gate",
}

// busy is a gate at which many have a fever, and some walk through.
const busy = `
seed: 20
ambient_celsius: 28
queue: {distance_metres: 0.7, core_celsius: 36.7, core_spread_celsius: 0.2, febrile_celsius: 38.6, febrile_share: 0.4, passer_share: 0.3}
`

// TestSeeing has Prometheus ask a demo, a plant's console and its district's, and asks it all that the dashboards do, and what
// the rules of the alarms come to.
func TestSeeing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute of people before a gate")
	}
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian package prometheus)")
	}
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // of a machine with much else to do
	defer cancel()
	printed, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- demo(ctx, []string{simulatorURI + writeFile(t, "busy.yaml", busy)}, camera.Options{}, out, io.Discard)
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	pages, broker, _ := addresses(t, printed)
	over, plant := runDistrict(t, broker)

	dead := testdata.FreeAddress(t) // so that there is an alarm
	p := startPrometheus(t, program, map[string][]string{
		"thermogate": {hostOf(t, pages), dead}, "thermogate-console": {plant.Address()}, "thermogate-district": {over.Address(), dead},
	})
	takeAnAlert(t, ctx, plant)
	exported := exportedOfReaders() + get(t, pages+"metrics") + get(t, "http://"+plant.Address()+"/metrics") + get(t, "http://"+over.Address()+"/metrics")
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	checkExported(t, "the rules", string(rules), exported)
	for _, file := range []string{"gate", "plant", "district"} {
		text, err := os.ReadFile("../../deploy/grafana/dashboards/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		checkExported(t, file, string(text), exported)
		p.show(ctx, text)
	}
	p.checkRules()
}

// exportedOfReaders is what a gate exports only where it has readers of badges.
func exportedOfReaders() string {
	gate, answer := metrics.New("test"), httptest.NewRecorder()
	gate.ExpectBadges("input", []string{string(badge.Taken)})
	gate.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return answer.Body.String()
}

const rulesFile = "../../deploy/prometheus/thermogate.rules.yml"

// runDistrict runs the console of a district, and that of a plant which hears the gates at a broker and tells the district.
func runDistrict(t *testing.T, broker string) (over, plant *console.Console) {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	own := district.DefaultOneNode()
	own.Listen, own.Folder, own.PasswordFile = testdata.FreeAddress(t), filepath.Join(dir, "nats"), writeFile(t, "password", "open sesame")
	server, err := onenode.Start(own, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	many := console.DefaultDistrictConfig()
	many.District.MaxGigabytes = 1 // whatever the machine has left
	many.Store.File, many.HTTP.Listen, many.District.Own = filepath.Join(dir, "district", "district.db"), testdata.FreeAddress(t), own
	if over, err = console.OpenDistrict(t.Context(), many, conn, "test", log); err != nil {
		t.Fatal(err)
	}
	runConsole(t, over)

	one := console.DefaultConfig()
	one.Name, one.MQTT.Broker, one.Store.File, one.HTTP.Listen = "plant", "mqtt://"+broker, filepath.Join(dir, "plant", "plant.db"), testdata.FreeAddress(t)
	one.District.Servers, one.District.User, one.District.PasswordFile = []string{server.URL()}, own.User, own.PasswordFile
	if plant, err = console.Open(t.Context(), one, "test", log); err != nil {
		t.Fatal(err)
	}
	runConsole(t, plant)
	return over, plant
}

// runConsole runs a console until the test ends.
func runConsole(t *testing.T, c *console.Console) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			t.Error(err)
		}
	})
}

// takeAnAlert has somebody take the first alert that comes.
func takeAnAlert(t *testing.T, ctx context.Context, at *console.Console) {
	t.Helper()
	name, password := at.FirstLogIn()
	guard := testdata.Visit(t, "http://"+at.Address())
	guard.LogIn(name, password, "correct horse battery")
	for ; ; time.Sleep(100 * time.Millisecond) {
		form := regexp.MustCompile(`(?s)action="(/alerts/\w+/take)".*?name="version" value="(\d+)"`).FindStringSubmatch(guard.Get("/"))
		if form != nil {
			guard.Post(form[1], url.Values{"version": {form[2]}})
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("there is no alert to take: %s", guard.Get("/"))
		}
	}
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Host
}

var family = regexp.MustCompile(`\bthermogate_\w+`)

// checkExported proves that what is asked for is in what the programs export.
func checkExported(t *testing.T, who, asked, exported string) {
	t.Helper()
	for _, name := range family.FindAllString(asked, -1) {
		histogram := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")
		if !strings.Contains(exported, "# TYPE "+name+" ") && !strings.Contains(exported, "# TYPE "+histogram+" histogram") {
			t.Errorf("%s: no program exports %s", who, name)
		}
	}
}

// prometheus is one that runs.
type prometheus struct {
	t       *testing.T
	address string
}

// startPrometheus runs a Prometheus with the rules that ship, until the test ends. It asks the targets, by their job, every
// second; the rules do not wait until something has been wrong for a while.
func startPrometheus(t *testing.T, program string, targets map[string][]string) prometheus {
	t.Helper()
	dir := t.TempDir()
	shipped, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	type static struct {
		Targets []string `yaml:"targets"`
	}
	type job struct {
		Name   string   `yaml:"job_name"`
		Static []static `yaml:"static_configs"`
	}
	var config struct {
		Global map[string]string `yaml:"global"`
		Rules  []string          `yaml:"rule_files"`
		Jobs   []job             `yaml:"scrape_configs"`
	}
	config.Global = map[string]string{"scrape_interval": "1s", "evaluation_interval": "1s"}
	config.Rules = []string{"rules.yml"}
	for name, addresses := range targets {
		config.Jobs = append(config.Jobs, job{name, []static{{addresses}}})
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"prometheus.yml": text, "rules.yml": regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(shipped, nil),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := prometheus{t, testdata.FreeAddress(t)}
	var log testdata.Text
	command := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address, "--log.level=warn")
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", &log)
		}
	})
	return p
}

// ask sends a question to Prometheus' API, and reads the data of its answer.
func (p prometheus) ask(path string, question url.Values, data any) error {
	response, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + question.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Error string          `json:"error"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// shown is what a test reads of a dashboard.
type shown struct {
	Title      string
	Templating struct {
		List []struct {
			Name, Type, AllValue string
			IncludeAll           bool
			Query                string
		}
	}
	Panels []struct {
		Title   string
		Targets []struct {
			Expr    string
			Instant bool
		}
	}
}

// show asks what a dashboard does, again until all of it has data. Those that are empty need none.
func (p prometheus) show(ctx context.Context, text []byte) {
	p.t.Helper()
	var d shown
	if err := json.Unmarshal(text, &d); err != nil {
		p.t.Fatal(err)
	}
	fill := p.choose(ctx, d)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expr := fill.Replace(target.Expr)
			for found := false; !found; time.Sleep(200 * time.Millisecond) {
				var err error
				found, err = p.has(expr, target.Instant)
				if err != nil {
					p.t.Errorf("%s, %s: %v in %s", d.Title, panel.Title, err, expr)
					break
				}
				if found || isEmpty(expr) {
					break
				}
				if ctx.Err() != nil {
					p.t.Errorf("%s, %s: nothing comes of %s", d.Title, panel.Title, expr)
					break
				}
			}
		}
	}
}

func isEmpty(expr string) bool {
	for part := range empty {
		if strings.Contains(expr, part) {
			return true
		}
	}
	return false
}

// choose takes the first value of each choice, or all where a dashboard begins with all.
func (p prometheus) choose(ctx context.Context, d shown) *strings.Replacer {
	p.t.Helper()
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	replace := []string{"$__rate_interval", "10s", "$__range", "5m"}
	for _, choice := range d.Templating.List {
		if choice.Type != "query" {
			continue
		}
		part := values.FindStringSubmatch(choice.Query)
		if part == nil {
			p.t.Fatalf("%s: choice %s asks %s", d.Title, choice.Name, choice.Query)
		}
		var found []string
		for ; len(found) == 0; time.Sleep(200 * time.Millisecond) {
			err := p.ask("label/"+part[2]+"/values", url.Values{"match[]": {strings.NewReplacer(replace...).Replace(part[1])}}, &found)
			if ctx.Err() != nil {
				p.t.Fatalf("%s: there is nothing to choose of %s: %v", d.Title, choice.Query, err)
			}
		}
		value := found[0]
		if choice.IncludeAll {
			value = choice.AllValue
		}
		replace = append(replace, "$"+choice.Name, value)
	}
	return strings.NewReplacer(replace...)
}

// has says whether a query has a result that is a number.
func (p prometheus) has(expr string, instant bool) (bool, error) {
	var data struct {
		Result []struct {
			Value  []any
			Values [][]any
		}
	}
	path, question, now := "query", url.Values{"query": {expr}}, time.Now()
	if !instant {
		path = "query_range"
		question.Set("start", now.Add(-time.Minute).Format(time.RFC3339))
		question.Set("end", now.Format(time.RFC3339))
		question.Set("step", "1")
	}
	err := p.ask(path, question, &data)
	for _, series := range data.Result {
		for _, value := range append(series.Values, series.Value) {
			if len(value) == 2 && value[1] != "NaN" {
				return true, err
			}
		}
	}
	return false, err
}

// checkRules has it that Prometheus could work out every rule.
func (p prometheus) checkRules() {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("rules", nil, &data); err != nil {
		p.t.Fatal(err)
	}
	count := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			count++
			if rule.Health != "ok" {
				p.t.Errorf("rule %s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
	if count == 0 {
		p.t.Error("there are no rules")
	}
}
