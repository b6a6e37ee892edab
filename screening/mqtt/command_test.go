package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestCommandsAreObeyedAndAcknowledged(t *testing.T) {
	broker := startMosquitto(t)
	cfg := testConfig(broker.address())
	cfg.Commands = []Verb{Pause, GroupReset, Ambient, Badge}
	obeyed := make(chan Command, 10)
	c, _ := run(t, cfg, openJournal(t), func(_ context.Context, command Command) error {
		obeyed <- command
		if command.Pause > time.Hour {
			return errors.New("that is too long for this gate")
		}
		return nil
	})
	waitConnected(t, c)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/acknowledgement/#")
	eventually(t, func() bool { return c.State().Connected })
	for _, step := range []struct {
		verb    Verb
		payload string
		topic   string
		want    Acknowledgement
	}{
		{Pause, `{"id":"a","seconds":60,"by":"李娜"}`, "acknowledgement/pause", Acknowledgement{ID: "a", Accepted: true}},
		{Pause, `{"id":"b","seconds":7200}`, "acknowledgement/pause", Acknowledgement{ID: "b", Error: "that is too long for this gate"}},
		{GroupReset, ``, "acknowledgement/group/reset", Acknowledgement{Accepted: true}},
		{Recalibrate, `{"id":"c"}`, "acknowledgement/recalibrate", Acknowledgement{ID: "c", Error: "recalibrate is not allowed at this gate (mqtt.commands)"}},
		{GroupReset, `{"by":"x"}`, "acknowledgement/group/reset", Acknowledgement{Error: "group/reset has no by"}},
		{Ambient, `{"celsius":22.5}`, "acknowledgement/ambient", Acknowledgement{Accepted: true}},
		{Ambient, `{}`, "acknowledgement/ambient", Acknowledgement{Error: `ambient needs celsius, such as {"celsius":22.5}`}},
		{Pause, `{"seconds":1,"celsius":22.5}`, "acknowledgement/pause", Acknowledgement{Error: "pause has no celsius"}},
		{Badge, `{"id":"d","code":"TGPCAB","reader":"turnstile"}`, "acknowledgement/badge", Acknowledgement{ID: "d", Accepted: true}},
		{Badge, `{"number":"1","at":"yesterday"}`, "acknowledgement/badge", Acknowledgement{Error: `the command is not as it should be: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`}},
		{Pause, `{"seconds":1,"number":"1"}`, "acknowledgement/pause", Acknowledgement{Error: "pause has no number, code, reader or at"}},
		{Pause, `{"seconds":-1}`, "acknowledgement/pause", Acknowledgement{Error: "seconds are between 0 and 86400"}},
	} {
		before := len(sub.all())
		sub.client.Publish(testGate.CommandTopic(step.verb), 1, false, step.payload).Wait()
		m := sub.waitFor(t, atLeast(before+1))[before]
		var got Acknowledgement
		if err := json.Unmarshal(m.payload, &got); err != nil {
			t.Fatal(err)
		}
		if m.topic != testGate.topic(step.topic) || got != step.want {
			t.Errorf("%s %s: %+v on %s, want %+v", step.verb, step.payload, got, m.topic, step.want)
		}
	}
	if got := c.State(); got.Commands != 4 || got.Refused != 8 {
		t.Errorf("%d obeyed and %d refused are counted", got.Commands, got.Refused)
	}
	if got := <-obeyed; got != (Command{Verb: Pause, ID: "a", Pause: time.Minute, By: "李娜"}) {
		t.Errorf("obeyed %+v", got)
	}
}

// TestHostileMessagesChangeNothing publishes to every topic that a gate subscribes.
func TestHostileMessagesChangeNothing(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/screening/#")
	host := subscribe(t, broker.address(), "spBv1.0/+/NBIRTH/#")
	const ncmd = "spBv1.0/plant/NCMD/north"
	// Kept by the broker from before the gate connects:
	sub.client.Publish(testGate.CommandTopic(Pause), 1, true, `{"seconds":3600}`).Wait()
	sub.client.Publish(ncmd, 1, true, rebirthRequest()).Wait()
	cfg := testConfig(broker.address())
	cfg.Commands = verbs
	cfg.HomeAssistant.Enabled, cfg.Sparkplug.Enabled, cfg.ONVIF.Enabled = true, true, true
	cfg.Sparkplug.PrimaryHostID = "scada"
	const state = "spBv1.0/STATE/scada"
	sub.client.Publish(state, 1, true, `{"online":true,"timestamp":1000}`).Wait()
	j := openJournal(t)
	c := newClient(t, cfg, j, func(context.Context, Command) error { t.Error("obeyed"); return nil })
	c.HandleAlerts(func(a Alert) { t.Errorf("told of %+v", a) })
	start(t, c)
	eventually(t, func() bool { return c.State().Refused == 2 }) // it is connected, and so is its edge node
	messages := []struct{ topic, payload string }{
		{"command/pause", `{"seconds":"60"}`},
		{"command/pause", `{"seconds":1e300}`},
		{"command/pause", `{"seconds":60}{"seconds":60}`},
		{"command/pause", `{"seconds":60,"also":1}`},
		{"command/pause", strings.Repeat(" ", 2000)},
		{"command/rescreen", "\x00\xff"},
		{"command/rescreen", `{"event":"` + strings.Repeat("x", 100) + `"}`},
		{"command/recalibrate", strings.Repeat("[", 1000)},
		{"command/group/reset", `null null`},
		{"command/format", `{}`},
		{"command/", ``},
		{"command", ``},
		{"command/pause/acknowledgement", `{}`},
		{"alert/01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", `{"state":"closed"}`},
		{"alert/01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", `{"state":"closed","outcome":false}`},
		{"alert/01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", `{"state":"closed","outcome":"false"} {}`},
		{"alert/01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", `{"state":"taken","note":"` + strings.Repeat("x", 5000) + `"}`},
		{"alert/7", `{"state":"closed","outcome":"false"}`},
		{"status", `{"state":"offline"}`},
		{"status", strings.Repeat("x", 100_000)},
	}
	for _, m := range messages {
		retained := m.topic == "status"
		sub.client.Publish(testGate.topic(m.topic), 1, retained, m.payload).Wait()
	}
	homeAssistant := []string{"", "\x00", "ONLINE", strings.Repeat("online", 10_000)}
	for _, payload := range homeAssistant {
		sub.client.Publish("homeassistant/status", 1, false, payload).Wait()
	}
	commands := []string{
		"", "\x00", `{"rebirth":true}`, string(rebirthRequest()[1:]), string(rebirthRequest()) + "\x12",
		strings.Replace(string(rebirthRequest()), "Rebirth", "Reboot!", 1),
		string(marshalPayload("NCMD", 0, time.Now(), []metric{{name: rebirthMetric, kind: typeBoolean, value: false}})),
		strings.Repeat(string(rebirthRequest()), 1000),
	}
	for _, payload := range commands {
		sub.client.Publish(ncmd, 0, false, payload).Wait()
	}
	states := []string{"", "OFFLINE", `{"online":false}`, `{"online":0,"timestamp":2000}`, `{"online":false,"timestamp":"2000"}`,
		`{"online":false,"timestamp":2000}{}`, `{"online":false,"timestamp":2000` + strings.Repeat(" ", 2000) + `}`}
	for _, payload := range states {
		sub.client.Publish(state, 1, false, payload).Wait()
	}
	hostile := uint64(2 + len(messages) + len(homeAssistant) + len(commands) + len(states))
	eventually(t, func() bool { return c.State().Refused >= hostile })
	appendEvents(t, j, 1, 1)
	sub.waitFor(t, atLeast(1))
	status := subscribe(t, broker.address(), testGate.StatusTopic())
	status.waitFor(t, func(messages []message) bool {
		var got StatusMessage
		return len(messages) > 0 && json.Unmarshal(messages[len(messages)-1].payload, &got) == nil && got.State == "online"
	})
	if got := c.State(); !got.Connected || got.Commands != 0 || got.Refused != hostile {
		t.Errorf("state %+v, want %d refused", got, hostile)
	}
	if births := host.all(); len(births) != 1 {
		t.Errorf("%d births", len(births))
	}
}

// TestReadIsOfWhenItCame has reads wait for a command that takes long.
func TestReadIsOfWhenItCame(t *testing.T) {
	broker := startMosquitto(t)
	cfg := testConfig(broker.address())
	cfg.Commands = []Verb{GroupReset, Badge}
	release, obeyed := make(chan struct{}), make(chan Command, 100)
	c, _ := run(t, cfg, openJournal(t), func(_ context.Context, command Command) error {
		if command.Verb == GroupReset {
			<-release
		}
		obeyed <- command
		return nil
	})
	waitConnected(t, c)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/acknowledgement/#")
	sub.client.Publish(testGate.CommandTopic(GroupReset), 1, false, "").Wait()
	eventually(t, func() bool { // those that came first wait, for there is no room for more
		sub.client.Publish(testGate.CommandTopic(Badge), 1, false, `{"number":"1047"}`).Wait()
		return c.State().Refused > 0
	})
	waited := time.Now()
	close(release)
	<-obeyed
	if read := <-obeyed; read.Verb != Badge || read.Came.IsZero() || !read.Came.Before(waited) {
		t.Errorf("a read that came before %v is of %v", waited, read.Came)
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("pause", []byte(`{"seconds":60}`))
	f.Add("rescreen", []byte(`{"id":"1","event":"01J"}`))
	f.Add("group/reset", []byte(``))
	f.Fuzz(func(t *testing.T, verb string, payload []byte) {
		command, err := ParseCommand(Verb(verb), payload)
		if err != nil {
			return
		}
		if !command.Verb.known() || len(command.ID) > maxCommandID || len(command.Event) > maxCommandID || command.Pause < 0 || command.Pause > maxPause {
			t.Errorf("%q %q gave %+v", verb, payload, command)
		}
		if (command.Pause != 0 && command.Verb != Pause) || (command.Event != "" && command.Verb != Rescreen) {
			t.Errorf("%q %q gave %+v", verb, payload, command)
		}
	})
}

func TestCommandsFillNoLog(t *testing.T) {
	var out bytes.Buffer
	c := newClient(t, testConfig("127.0.0.1:1"), openJournal(t), nil)
	c.log = slog.New(slog.NewTextHandler(&out, nil))
	for range 10_000 {
		c.refuse(errors.New("no command"))
	}
	if lines := strings.Count(out.String(), "\n"); lines == 0 || lines > 100 {
		t.Errorf("%d lines in the log", lines)
	}
}
