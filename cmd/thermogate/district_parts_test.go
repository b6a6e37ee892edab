package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"thermogate/testdata"
)

// runAsProgram has the test binary be the program, so that simulated plants and gates are processes of their own.
const runAsProgram = "THERMOGATE_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// programProcess is the program in a process of its own.
type programProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

func startProgram(t *testing.T, args ...string) *programProcess {
	t.Helper()
	p := &programProcess{t: t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), runAsProgram+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended, where all is well
	return p
}

// wait returns what it has printed.
func (p *programProcess) wait() string {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s: %v", p.cmd.Args[1], err)
	}
	return p.out.String()
}

// consoleProcess is the console of the district.
type consoleProcess struct {
	t       *testing.T
	binary  string
	dir     string
	address string
	cmd     *exec.Cmd
}

func newConsoleProcess(t *testing.T, servers []string, database string) *consoleProcess {
	t.Helper()
	c := &consoleProcess{t: t, dir: t.TempDir(), address: testdata.FreeAddress(t)}
	c.binary = filepath.Join(c.dir, "thermogate-console")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.binary, "../thermogate-console").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := fmt.Sprintf("http: {listen: %q}\nstore: {postgresql: %q}\ndistrict: {servers: [\"%s\"], max_gigabytes: 5}\n", c.address, database, strings.Join(servers, `", "`))
	if err := os.WriteFile(filepath.Join(c.dir, "console.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

// start returns once the console is well.
func (c *consoleProcess) start() {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	c.cmd = exec.Command(c.binary, "--district", "-c", filepath.Join(c.dir, "console.yaml"))
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + c.address + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the console is not well\n%s", c.log())
		}
	}
}

func (c *consoleProcess) kill() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

func (c *consoleProcess) pid() int {
	if c.cmd == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

func (c *consoleProcess) log() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

var firstPassword = regexp.MustCompile(`password=(\S+)`)

// logIn returns a client that the console knows.
func (c *consoleProcess) logIn() *http.Client {
	c.t.Helper()
	found := firstPassword.FindStringSubmatch(c.log())
	if found == nil {
		c.t.Fatalf("the console tells of no first log-in\n%s", c.log())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const chosen = "correct horse"
	c.post(client, "/login", url.Values{"name": {"admin"}, "password": {found[1]}})
	c.post(client, "/password", url.Values{"old": {found[1]}, "password": {chosen}, "again": {chosen}})
	return client
}

func (c *consoleProcess) post(client *http.Client, path string, form url.Values) {
	c.t.Helper()
	answer, err := client.PostForm("http://"+c.address+path, form)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		said, _ := io.ReadAll(answer.Body)
		c.t.Fatalf("%s: %s\n%s", path, answer.Status, said)
	}
}

// page is the district's page as a browser has it: it fetches the alerts when the stream says that they have changed, and
// connects again when the console was away.
type page struct {
	console *consoleProcess
	client  *http.Client

	mu   sync.Mutex
	seen map[string]time.Time // alerts, when they were first on the page
}

func watchPage(t *testing.T, console *consoleProcess) *page {
	p := &page{console: console, client: console.logIn(), seen: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			p.watch(ctx)
			sleep(ctx, 100*time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); watching.Wait() })
	return p
}

func (p *page) watch(ctx context.Context) {
	stream, err := p.get(ctx, "/stream")
	if err != nil {
		return
	}
	defer stream.Body.Close()
	version := ""
	lines := bufio.NewScanner(stream.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		var message struct{ Parts map[string]string }
		if !is || json.Unmarshal([]byte(data), &message) != nil || message.Parts["alerts"] == version {
			continue
		}
		version = message.Parts["alerts"]
		if p.look(ctx) != nil {
			return
		}
	}
}

var alertLink = regexp.MustCompile(`/alerts/([0-9A-Z]{26})`)

func (p *page) look(ctx context.Context) error {
	answer, err := p.get(ctx, "/?part=alerts")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		return err
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, found := range alertLink.FindAllStringSubmatch(body.String(), -1) {
		if _, known := p.seen[found[1]]; !known {
			p.seen[strings.Clone(found[1])] = now // not all of the page with it
		}
	}
	return nil
}

func (p *page) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.console.address+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.client.Do(request)
	if err == nil && answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return answer, err
}

// meter adds up what the processes of a part of the district use, also those that were killed.
type meter struct {
	pid  func() int // 0 while there is none
	last map[int]time.Duration
	most int64 // bytes of memory at a time
}

// ticksPerSecond are those of /proc: 100 on every Linux that Go knows.
const ticksPerSecond = 100

func (m *meter) look() {
	pid := m.pid()
	if pid == 0 {
		return
	}
	cpu, memory := treeUse(pid)
	m.last[pid] = max(m.last[pid], cpu)
	m.most = max(m.most, memory)
}

func (m *meter) cpu() (all time.Duration) {
	for _, one := range m.last {
		all += one
	}
	return all
}

// treeUse is the time of a process and of its children, and the memory that they have at this time.
func treeUse(pid int) (cpu time.Duration, memory int64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	for _, at := range []int{11, 12, 13, 14} { // utime, stime, and those of children that have ended
		ticks, _ := strconv.ParseInt(fields[at], 10, 64)
		cpu += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	memory = proportional(pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		children, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				moreCPU, more := treeUse(n)
				cpu, memory = cpu+moreCPU, memory+more
			}
		}
	}
	return cpu, memory
}

// proportional is a process's memory, of what it shares with others its part.
func proportional(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
