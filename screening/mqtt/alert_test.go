package mqtt

import (
	"strings"
	"testing"
	"time"
)

const alertID = "01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"

func TestParseAlert(t *testing.T) {
	for payload, want := range map[string]Alert{
		`{"state":"taken","by":"Li Na"}`:     {Event: alertID, Taken: true},
		`{"state":"new"}`:                    {Event: alertID}, // given back
		`{"state":"escalated"}`:              {Event: alertID},
		`{"state":"expired"}`:                {Event: alertID},
		`{"state":"read","outcome":"false"}`: {Event: alertID, Taken: true}, // undone
		`{"state":"closed","outcome":"false","by":"Li Na","version":4}`:    {Event: alertID, Closed: true, Outcome: FalseAlert},
		` {"outcome":"confirmed","state":"closed","reading":[38.4,"ear"]}`: {Event: alertID, Closed: true, Outcome: Confirmed},
		`{"state":"closed","outcome":"gone"}` + "\n":                       {Event: alertID, Closed: true, Outcome: Gone},
	} {
		if got, err := ParseAlert(alertID, []byte(payload)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", payload, got, err)
		}
	}
	for payload, want := range map[string]string{
		``:                                     "not as it should be",
		`null`:                                 "has a state",
		`{}`:                                   "has a state",
		`[]`:                                   "not as it should be",
		`"closed"`:                             "not as it should be",
		`{"state":1}`:                          "not as it should be",
		`{"state":"closed"}`:                   "is closed as",
		`{"state":"closed","outcome":"FALSE"}`: "is closed as",
		`{"state":"closed","outcome":false}`:   "not as it should be",
		`{"state":"taken"}{"state":"taken"}`:   "something follows",
		`{"state":"` + strings.Repeat("x", 40) + `"}`:                "has a state",
		`{"state":"taken","by":"` + strings.Repeat("x", 5000) + `"}`: "more than 4096",
	} {
		if got, err := ParseAlert(alertID, []byte(payload)); err == nil || !strings.Contains(err.Error(), want) || got != (Alert{}) {
			t.Errorf("%.60s: %+v, %v; want an error with %q", payload, got, err, want)
		}
	}
	for _, id := range []string{"", "7", alertID + "0", strings.ToLower(alertID)[:25] + "u", "../" + alertID[3:]} {
		if got, err := ParseAlert(id, []byte(`{"state":"taken"}`)); err == nil {
			t.Errorf("%q: %+v", id, got)
		}
	}
}

// TestGateLearnsWhatBecameOfItsAlerts is told of one before it connects and of others while it is there.
func TestGateLearnsWhatBecameOfItsAlerts(t *testing.T) {
	const earlier, other = "01JQ8Z6Y5T2M3N4P5Q6R7S8T9A", "01JQ8Z6Y5T2M3N4P5Q6R7S8T9B"
	broker := startMosquitto(t)
	console := subscribe(t, broker.address(), "unused")
	say := func(id, payload string) {
		console.client.Publish(testGate.AlertTopic(id), 1, true, payload).Wait()
	}
	say(earlier, `{"state":"closed","outcome":"false","by":"Li Na"}`)
	say(other, `{"state":"taken"}`)
	told := make(chan Alert, 10)
	c := newClient(t, testConfig(broker.address()), openJournal(t), nil)
	c.HandleAlerts(func(a Alert) { told <- a })
	start(t, c)
	got := map[string]Alert{}
	next := func() {
		t.Helper()
		select {
		case a := <-told:
			got[a.Event] = a
		case <-time.After(time.Minute):
			t.Fatal("nothing is told")
		}
	}
	next()
	next()
	if got[earlier] != (Alert{Event: earlier, Closed: true, Outcome: FalseAlert}) || got[other] != (Alert{Event: other, Taken: true}) {
		t.Errorf("told of %+v", got)
	}
	say(other, `{"state":"closed","outcome":"confirmed"}`)
	next()
	say(earlier, ``) // not kept any more
	say(alertID, `{"state":"taken"}`)
	next()
	if got[other] != (Alert{Event: other, Closed: true, Outcome: Confirmed}) || got[alertID] != (Alert{Event: alertID, Taken: true}) {
		t.Errorf("told of %+v", got)
	}
	if refused := c.State().Refused; refused != 0 {
		t.Errorf("%d refused", refused)
	}
}

func FuzzParseAlert(f *testing.F) {
	f.Add(alertID, []byte(`{"state":"closed","outcome":"false","by":"Li Na"}`))
	f.Add(alertID, []byte(`{"state":"taken"}`))
	f.Add("7", []byte(``))
	f.Fuzz(func(t *testing.T, id string, payload []byte) {
		a, err := ParseAlert(id, payload)
		switch {
		case err != nil && a != (Alert{}):
			t.Errorf("%q %q gave %+v and %v", id, payload, a, err)
		case err == nil && (a.Event != id || len(id) != 26 || len(payload) > maxAlertBytes):
			t.Errorf("%q %q gave %+v", id, payload, a)
		case a.Closed != (a.Outcome == Confirmed || a.Outcome == FalseAlert || a.Outcome == Gone):
			t.Errorf("%q %q gave %+v", id, payload, a)
		}
	})
}
