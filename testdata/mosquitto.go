package testdata

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Mosquitto is a real broker.
type Mosquitto struct {
	Address string // HOST:PORT of this machine
	t       testing.TB
	config  string
	process *exec.Cmd
}

// StartMosquitto starts one that ends with the test, on a free port of this machine, with these lines in its configuration.
func StartMosquitto(t testing.TB, settings string) *Mosquitto {
	t.Helper()
	m := &Mosquitto{t: t, Address: FreeAddress(t), config: filepath.Join(t.TempDir(), "mosquitto.conf")}
	text := "user root\nlistener " + m.Address[strings.LastIndex(m.Address, ":")+1:] + " 127.0.0.1\n" + settings
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(m.Stop)
	return m
}

// StartGuardedMosquitto starts one with the plugin for dynamic security beside its password file, as deploy/mosquitto/README.md has
// it. Its users are "console" for site plant and, for the plugin, "join"; their passwords are "of " and the name. With files of a
// certificate it takes TLS alone.
func StartGuardedMosquitto(t testing.TB, certFile, keyFile string) *Mosquitto {
	t.Helper()
	dir := t.TempDir()
	for _, command := range [][]string{
		{"mosquitto_ctrl", "dynsec", "init", filepath.Join(dir, "dynamic-security.json"), "join", "of join"},
		{"mosquitto_passwd", "-c", "-b", filepath.Join(dir, "passwords"), "console", "of console"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	acl := "user console\ntopic read thermogate/plant/#\n"
	for _, topic := range []string{"command/#", "alert/+", "stored", "passes"} {
		acl += "topic write thermogate/plant/+/" + topic + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "acl"), []byte(acl), 0o600); err != nil {
		t.Fatal(err)
	}
	plugins, err := filepath.Glob("/usr/lib/*/mosquitto_dynamic_security.so") // a folder of each architecture
	if err != nil || len(plugins) == 0 {
		t.Fatalf("no plugin mosquitto_dynamic_security.so, %v; deploy/install-packages test installs it", err)
	}
	settings := fmt.Sprintf(`allow_anonymous false
password_file %[1]s/passwords
acl_file %[1]s/acl
plugin %[2]s
plugin_opt_config_file %[1]s/dynamic-security.json
`, dir, plugins[0])
	if certFile != "" {
		settings += "certfile " + certFile + "\nkeyfile " + keyFile + "\n"
	}
	return StartMosquitto(t, settings)
}

// Start starts it again after Stop.
func (m *Mosquitto) Start() {
	m.t.Helper()
	m.process = exec.Command("/usr/sbin/mosquitto", "-c", m.config)
	if err := m.process.Start(); err != nil {
		m.t.Fatalf("%v; deploy/install-packages test installs it", err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", m.Address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("mosquitto does not listen: %v", err)
		}
	}
}

// Stop kills it.
func (m *Mosquitto) Stop() { m.process.Process.Kill(); m.process.Wait() }
