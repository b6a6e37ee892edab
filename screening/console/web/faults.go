package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

type faultsPage struct {
	Open, Shelved []store.Fault
	Losses        []loss
	Unheard       time.Time
	Deaf          []mqtt.Gate
	Versions      map[string]string
}

// loss is how many events of a gate nobody can get any more, by when that was heard.
type loss struct {
	store.Loss
	Events int64
}

func showFaults(v *visit) { v.faults(http.StatusOK, "") }

func (v *visit) faults(status int, notice string) {
	now, err := v.snapshot()
	if err != nil {
		v.fail(err)
		return
	}
	all := v.pageOf(now, v.account)
	page := faultsPage{Open: all.Faults, Unheard: all.Unheard, Deaf: all.Deaf, Versions: all.Versions}
	for _, f := range now.faults {
		if v.account.Sees(f.Gate) && f.Shelf != nil {
			page.Shelved = append(page.Shelved, f)
		}
	}
	losses, err := v.store.Losses(v.ctx())
	if err != nil {
		v.fail(err)
		return
	}
	for _, l := range losses {
		if v.account.Sees(l.Gate) && len(page.Losses) < 100 {
			page.Losses = append(page.Losses, loss{l, l.To - l.From + 1})
		}
	}
	v.showWith(status, "faults", notice, page)
}

// shelveFault puts a fault aside, or takes it out again where it is for no hours.
func shelveFault(v *visit) {
	gate, part, reason := gateOf(v.r.FormValue("gate")), v.r.FormValue("part"), strings.TrimSpace(v.r.FormValue("reason"))
	var hours int
	if _, err := fmt.Sscan(v.r.FormValue("hours"), &hours); err != nil || hours < 0 || hours > 7*24 {
		v.faults(http.StatusUnprocessableEntity, v.tongue.Say("请选择搁置多久。", "Choose for how long it is put aside."))
		return
	}
	if !v.account.Sees(gate) {
		v.missing()
		return
	}
	if hours == 0 {
		reason = v.tongue.Say("提前恢复", "taken out again")
	}
	if reason == "" {
		v.faults(http.StatusUnprocessableEntity, v.tongue.Say("请写明搁置原因，交班的人要看。", "Say why it is put aside: the next shift wants to know."))
		return
	}
	shelf := store.Shelf{Until: v.now.Add(time.Duration(hours) * time.Hour), Who: v.account.FullName, Reason: reason}
	if err := v.store.Shelve(v.ctx(), gate, part, shelf, v.now); err != nil {
		v.faults(http.StatusUnprocessableEntity, err.Error())
		return
	}
	to := "/faults"
	if back := v.r.FormValue("to"); back != "" {
		to = listen.OwnPath(back)
	}
	v.redirect(to)
}
