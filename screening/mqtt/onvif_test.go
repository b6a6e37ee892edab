package mqtt

import (
	"testing"
	"time"

	"thermogate/screening/event"
)

func TestONVIFAlarms(t *testing.T) {
	broker := startMosquitto(t)
	vms := subscribe(t, broker.address(), "#")
	cfg := testConfig(broker.address())
	cfg.ONVIF.Enabled = true
	c, _ := run(t, cfg, openJournal(t), nil)
	waitConnected(t, c)
	at := time.Now().UTC().Truncate(time.Millisecond)
	body, skin := 38.25, 36.87
	told := func(outcome event.Outcome, id string, at time.Time, body *float64) {
		t.Helper()
		e := sample(1)
		e.ID, e.Time, e.Data.Outcome, e.Data.SkinCelsius, e.Data.BodyCelsius = id, at, outcome, &skin, body
		if err := c.journal.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	told(event.Alert, "1", at, &body)
	told(event.Inconclusive, "2", at, nil)
	told(event.Alert, "3", at.Add(-time.Hour), &body) // the clock of the gate jumped, say
	told(event.Pass, "4", at, nil)
	const topic = "thermogate/plant/north/onvif-ej/RuleEngine/Radiometry/BodyTemperatureAlarm/&thermal/thermogate"
	var alarms []string
	vms.waitFor(t, func(messages []message) bool {
		alarms = nil
		var last event.Event
		for _, m := range messages {
			if m.topic == topic && !m.retained {
				alarms = append(alarms, string(m.payload))
			}
			last = m.event
		}
		return last.ID == "4"
	})
	when := `{"UtcTime":"` + at.Format(time.RFC3339Nano) + `","Source":{"VideoSource":"thermal","RuleName":"thermogate"},"Data":`
	want := []string{when + `{"State":true,"Temperature":311.4}}`, when + `{"State":false}}`}
	if len(alarms) != 2 || alarms[0] != want[0] || alarms[1] != want[1] {
		t.Errorf("told %s\nwant %s", alarms, want)
	}
	eventually(t, func() bool { return c.State().Confirmed == 4 })
}
