package ingest

import (
	"testing"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

func TestWordsOnAlerts(t *testing.T) {
	for _, test := range []struct {
		word store.Word
		want string
	}{
		{store.Word{State: store.Taken, By: "Li Na"}, `{"state":"taken","by":"Li Na"}`},
		{store.Word{State: store.New, Escalated: true}, `{"state":"escalated"}`},
		{store.Word{State: store.New}, `{"state":"new"}`},
		{store.Word{State: store.Closed, Outcome: mqtt.Gone, By: "Li Na"}, `{"state":"closed","outcome":"gone","by":"Li Na"}`},
		{store.Word{State: store.Closed, Over: true}, ""},
	} {
		payload := wordPayload(test.word)
		if string(payload) != test.want {
			t.Errorf("%+v is told as %s, want %s", test.word, payload, test.want)
		}
		if test.want == "" {
			continue
		}
		if a, err := mqtt.ParseAlert("01JQ8Z6Y5T2M3N4P5Q6R7S8T9A", payload); err != nil || a.Closed != (test.word.State == store.Closed) {
			t.Errorf("a gate takes %s for %+v, %v", payload, a, err)
		}
	}
}
