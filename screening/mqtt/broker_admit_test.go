package mqtt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestGatesAreAdmittedWhileTheBrokerRuns has one come in, speak for itself alone, come in after a restart, have its password
// replaced, and go.
func TestGatesAreAdmittedWhileTheBrokerRuns(t *testing.T) {
	cfg := localBroker()
	cfg.Users = []BrokerUser{{"console", passwordFile(t, "of console"), RoleConsole}}
	dir := t.TempDir()
	file := filepath.Join(dir, "broker.db")
	b := startBrokerWith(t, cfg, file, quietLog)
	west := Gate{Site: testGate.Site, Name: "west"}
	comesIn := func(password string) error {
		c, err := tryJoin(b.Address, "gate-west", as("west", password))
		c.Disconnect(0)
		return err
	}
	if err := comesIn("first"); !TurnsAway(err) {
		t.Fatalf("before it is admitted: %v", err)
	}
	if err := b.Admit(west, "first"); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	here := join(t, b.Address, "gate-west", as("west", "first"), func(o *paho.ClientOptions) {
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	})
	done(t, here.Publish("thermogate/plant/west/screening/pass", 1, false, "event"))
	if token := join(t, b.Address, "forger", as("west", "first")).Publish("thermogate/plant/north/screening/pass", 1, false, "forged"); token.WaitTimeout(5*time.Second) && token.Error() == nil {
		t.Error("it may speak for another gate")
	}
	if err := b.Admit(west, "second"); err != nil {
		t.Fatal(err)
	}
	isCut := func(why string) {
		t.Helper()
		select {
		case <-lost:
		case <-time.After(time.Minute):
			t.Errorf("%s, and it stays connected", why)
		}
	}
	isCut("another box has its name")
	if err := comesIn("first"); err == nil {
		t.Error("the old password still counts")
	}
	b.Close()
	b = startBrokerWith(t, cfg, file, quietLog)
	join(t, b.Address, "gate-west", as("west", "second"), func(o *paho.ClientOptions) {
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	})
	if kept, err := os.ReadFile(filepath.Join(dir, admittedName)); err != nil || strings.Contains(string(kept), "second") {
		t.Errorf("kept is %s, %v", kept, err)
	}
	if err := b.Expel(west); err != nil {
		t.Fatal(err)
	}
	isCut("it is expelled")
	if err := comesIn("second"); !TurnsAway(err) {
		t.Errorf("after it was expelled: %v", err)
	}
	for _, wrong := range []Gate{{"elsewhere", "west"}, testGate, {testGate.Site, "console"}} {
		if err := b.Admit(wrong, "x"); err == nil {
			t.Errorf("%v is admitted", wrong)
		}
	}
}
