package district

import (
	"encoding/json"
	"testing"
	"time"

	"thermogate/screening/console/store"
)

func TestSubjectsKeepSitesApart(t *testing.T) {
	for _, site := range []string{"plant", "厂区 2", "a.b", "*", ">", "a%2Eb", "north plant"} {
		subject := Subject(site, EventKind)
		got, kind, err := ParseSubject(subject)
		if err != nil || got != site || kind != EventKind {
			t.Errorf("%s: %q, %q, %v", subject, got, kind, err)
		}
	}
	for _, subject := range []string{"thermogate.district.a.b.event", "thermogate.district.plant", "other.plant.event", "thermogate.district.%70lant.event", "thermogate.district..event"} {
		if site, _, err := ParseSubject(subject); err == nil {
			t.Errorf("%s is taken for one of %q", subject, site)
		}
	}
}

// TestManyPlans has a site that was given plans for years still fit into a message, with the latest of them.
func TestManyPlans(t *testing.T) {
	var plans []store.ShiftPlan
	for day := range 3000 {
		plans = append(plans, store.ShiftPlan{Site: "厂区", From: store.Day(20000 - day), Shifts: []store.Shift{{Name: "早班", End: time.Hour}, {Name: "中班", Begin: time.Hour}}})
	}
	body, err := json.Marshal(Site{Plans: fitting(plans)})
	if err != nil || len(body) > maxBytes || len(fitting(plans)) < 100 || fitting(plans)[0].From != 20000 {
		t.Errorf("%d plans are %d bytes, %v", len(fitting(plans)), len(body), err)
	}
	if few := fitting(plans[:5]); len(few) != 5 {
		t.Errorf("of 5 plans %d are told", len(few))
	}
}
