package web

import (
	"time"

	"thermogate/screening/console/store"
)

// today is the day that it is at a site.
func (v *visit) today(site string) store.Day { return store.DayOf(v.now.In(v.store.Zone(site))) }

// year is the first and the last day of one that begins today, as forms have them.
func (v *visit) year(site string) (from, to string) {
	today := v.today(site)
	return dateText(today), dateText(store.DayOf(today.Date().AddDate(1, 0, -1)))
}

func dateText(day store.Day) string { return day.Date().Format(time.DateOnly) }

// parseDay reads what dateText has made, of a time in which there may be gates.
func parseDay(text string) (store.Day, bool) {
	at, err := time.Parse(time.DateOnly, text)
	return store.DayOf(at), err == nil && at.Year() >= 1971 && at.Year() < 9000
}
