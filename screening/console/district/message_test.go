package district

import "testing"

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
