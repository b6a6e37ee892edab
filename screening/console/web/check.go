package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

type checksPage struct {
	Rows    []checkRow
	Missing int
	Gate    string // whose list is open, "site/gate"
	Form    map[string]string
	Before  *store.Check // of the gate whose list is open
}

type checkRow struct {
	Gate  mqtt.Gate
	Key   string
	Today *store.Check
}

func showChecks(v *visit) {
	v.checks(http.StatusOK, "", map[string]string{})
}

// checksBack is how far back the last check of a gate is looked for, to fill in what stays.
const checksBack = 60 * 24 * time.Hour

func (v *visit) checks(status int, notice string, form map[string]string) {
	gates, err := v.gatesInScope()
	if err != nil {
		v.fail(err)
		return
	}
	checks, err := v.store.Checks(v.ctx(), v.now.Add(-checksBack), v.now.Add(time.Minute))
	if err != nil {
		v.fail(err)
		return
	}
	page := checksPage{Gate: v.r.FormValue("gate"), Form: form}
	for _, gate := range gates {
		row := checkRow{Gate: gate, Key: keyOf(gate)}
		for _, c := range checks { // the newest first
			if c.Gate != gate {
				continue
			}
			if zone := v.store.Zone(gate.Site); store.DayOf(c.At.In(zone)) == store.DayOf(v.now.In(zone)) {
				row.Today = &c
			}
			if page.Gate == row.Key {
				page.Before = &c
			}
			break
		}
		if row.Today == nil {
			page.Missing++
		}
		page.Rows = append(page.Rows, row)
	}
	if b := page.Before; b != nil && len(form) == 0 {
		page.Form = map[string]string{"thermometer": b.Thermometer}
		if b.ReferenceNominal != nil {
			page.Form["nominal"] = fmt.Sprintf("%.2f", *b.ReferenceNominal)
		}
		if !b.CertificateUntil.IsZero() {
			page.Form["certificate"] = b.CertificateUntil.Format(time.DateOnly)
		}
	}
	v.showWith(status, "check", notice, page)
}

func addCheck(v *visit) {
	form := map[string]string{}
	for _, key := range []string{"warm", "nominal", "read", "certificate", "room", "humidity", "test", "thermometer", "ok", "done"} {
		form[key] = strings.TrimSpace(v.r.FormValue(key))
	}
	gate := gateOf(v.r.FormValue("gate"))
	if !v.account.Sees(gate) || gate.Name == "" {
		v.missing()
		return
	}
	check, wrong := checkOf(form)
	check.Gate, check.At, check.Who = gate, v.now, v.account.FullName
	if wrong == (phrase{}) && !check.OK && check.Done == "" {
		wrong = phrase{"不合格时，请写明做了什么。", "Where something is not well, say what was done about it."}
	}
	if wrong != (phrase{}) {
		v.checks(http.StatusUnprocessableEntity, v.tongue.of(wrong), form)
		return
	}
	if err := v.store.AddCheck(v.ctx(), check); err != nil {
		v.checks(http.StatusUnprocessableEntity, err.Error(), form)
		return
	}
	v.redirect("/check")
}

// checkOf reads a list that was gone through, and says what of it can't be read.
func checkOf(form map[string]string) (c store.Check, wrong phrase) {
	c = store.Check{WarmedUp: form["warm"] != "", Thermometer: form["thermometer"], OK: form["ok"] == "yes", Done: form["done"]}
	for key, number := range map[string]struct {
		to        **float64
		low, high float64
	}{
		"nominal": {&c.ReferenceNominal, 20, 60}, "read": {&c.ReferenceRead, 20, 60}, "room": {&c.RoomCelsius, -40, 60},
		"humidity": {&c.HumidityPercent, 0, 100}, "test": {&c.TestCelsius, 20, 45},
	} {
		if form[key] == "" {
			continue
		}
		value, fine := decimal(form[key])
		if !fine || !(value >= number.low && value <= number.high) {
			return c, phrase{fmt.Sprintf("“%s”不对：应在 %g 到 %g 之间。", form[key], number.low, number.high),
				fmt.Sprintf("%q can't be right: it is between %g and %g.", form[key], number.low, number.high)}
		}
		*number.to = &value
	}
	if form["ok"] != "yes" && form["ok"] != "no" {
		return c, phrase{"请选择合格或不合格。", "Say whether all is well or not."}
	}
	if form["certificate"] != "" {
		until, err := time.Parse(time.DateOnly, form["certificate"])
		if err != nil {
			return c, phrase{"证书日期不对。", "The certificate's date can't be read."}
		}
		c.CertificateUntil = until
	}
	return c, phrase{}
}

// Expired tells whether a certificate was over when the check was made.
func (r checkRow) Expired() bool {
	return r.Today != nil && !r.Today.CertificateUntil.IsZero() && r.Today.CertificateUntil.Before(r.Today.At)
}
