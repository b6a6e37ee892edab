package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

type alertPage struct {
	openAlert
	Changes []store.Change
	Scale   *scale
	Last    *store.Reading  // newest second reading
	Mine    bool            // the visitor has it
	Undo    bool            // the visitor's last change can be taken back
	Fever   bool            // what the second reading proposes
	Limit   float64         // from which on it does
	Entered string          // value that was refused
	habit   store.Reading   // of the visitor
	Told    string          // version of all alerts that open pages were told of before this was read
	Picture bool            // there is one
	Bare    bool            // outcomes only are kept: what a thermometer says is not asked for
	Deleted *store.Deletion // of its event; nil where that is here, or has grown too old
}

// readingForm asks for what a thermometer says.
type readingForm struct {
	Habit   store.Reading // unit, place and thermometer of the visitor's last reading
	Entered string        // value that was refused
	First   bool          // whoever comes here comes for it
	Bare    bool          // outcomes only are kept: what a thermometer says is not asked for
}

// LastChange is the last one that gets in anybody's way: another event of the same person does not.
func (a alertPage) LastChange() (last store.Change) {
	for _, c := range a.Changes {
		if c.What != "again" {
			last = c
		}
	}
	return last
}

// Form is that of a second reading.
func (a alertPage) Form() readingForm {
	return readingForm{a.habit, a.Entered, a.Mine && a.Last == nil, a.Bare}
}

// Places are where a thermometer measures.
func (readingForm) Places() []string { return places }

// Units are those of a reading.
func (readingForm) Units() []string { return []string{"°C", "°F"} }

func (v *visit) alertPage(id string) (alertPage, error) {
	told := v.live().Versions["alerts"]
	a, changes, err := v.store.Alert(v.ctx(), id)
	if err != nil {
		return alertPage{}, err
	}
	if !v.account.Sees(a.Gate) {
		return alertPage{}, store.ErrUnknown
	}
	rests, err := v.evidenceOf(v.ctx(), a.Latest)
	page := alertPage{
		openAlert: openAlert{a, rests}, Changes: changes, Mine: a.TakenBy == v.account.FullName && a.State != store.Closed,
		Limit: v.cfg.FeverCelsius, habit: habitOf(v.r),
		Told: told, Bare: v.store.OutcomeOnly(a.Gate.Site) || rests.Screening.Data.OutcomeOnly,
	}
	if rests.Screening.ID == "" {
		if d, gone := v.store.Deletion(v.ctx(), a.Latest); gone == nil {
			page.Deleted = &d
		}
	}
	page.Scale = v.tongue.scaleOf(rests.Screening.Data, a.ReadCelsius)
	if _, noPicture := v.store.Snapshot(v.ctx(), a); noPicture == nil {
		page.Picture = true
	} else if !errors.Is(noPicture, store.ErrNoSnapshot) {
		return alertPage{}, noPicture
	}
	for _, c := range changes {
		if c.Reading != nil {
			page.Last = c.Reading
		}
	}
	if a.ReadAt.IsZero() {
		page.Last = nil // it was undone
	}
	page.Fever = a.ReadCelsius != nil && *a.ReadCelsius >= v.cfg.FeverCelsius
	page.Undo = store.Undoable(changes, v.account.FullName, v.now)
	return page, err
}

func showAlert(v *visit) {
	page, err := v.alertPage(v.r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrUnknown):
		v.missing()
	case err != nil:
		v.fail(err)
	default:
		v.show("alert", page)
	}
}

// showPicture is the thermal picture of the moment of an alert.
func showPicture(v *visit) {
	a, _, err := v.store.Alert(v.ctx(), v.r.PathValue("id"))
	if err == nil && !v.account.Sees(a.Gate) {
		err = store.ErrUnknown
	}
	var picture store.Snapshot
	if err == nil {
		picture, err = v.store.Snapshot(v.ctx(), a)
	}
	if err == nil {
		err = v.saw(a.Event, a.Gate)
	}
	switch {
	case errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrNoSnapshot):
		v.missing()
	case err != nil:
		v.fail(err)
	default:
		v.w.Header().Set("Content-Type", "image/png")
		_, _ = v.w.Write(picture.PNG) // a browser that is gone needs no answer
	}
}

// showNext leads to an alert that nobody has, other than the one that the visitor comes from.
func showNext(v *visit) {
	now, err := v.look(v.ctx())
	if err != nil {
		v.fail(err)
		return
	}
	for _, a := range now.alerts {
		if v.account.Sees(a.Gate) && a.State == store.New && a.Event != v.r.FormValue("after") {
			v.redirect("/alerts/" + a.Event)
			return
		}
	}
	v.redirect("/")
}

// changeAlert does what a guard wants with an alert, on the version of it that they saw.
func changeAlert(v *visit) {
	id, who := v.r.PathValue("id"), v.account.FullName
	before, err := v.alertPage(id)
	if errors.Is(err, store.ErrUnknown) {
		v.missing()
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	version, err := strconv.ParseInt(v.r.FormValue("version"), 10, 64)
	if err != nil {
		v.problem(http.StatusBadRequest, v.tongue.Say("请从告警页面操作。", "Use the forms of the alert's page."))
		return
	}
	wanted := store.Change{Version: version + 1, Who: who, What: v.r.PathValue("what")}
	switch wanted.What {
	case "take":
		err = v.take(id, version)
		if err == nil && before.Alert.State == store.New && v.cfg.Taken != nil {
			v.cfg.Taken(v.now.Sub(before.Alert.Received))
		}
	case "read":
		var reading store.Reading
		wanted.Reading = &reading
		if before.Bare {
			reading, err = bareReadingOf(v.r)
		} else {
			reading, err = readingOf(v.r)
		}
		if last := before.LastChange(); err != nil && last.Version > version {
			err = &store.ConflictError{Alert: before.Alert, Last: last}
		}
		if err == nil {
			v.rememberHabit(reading)
			_, err = v.store.AddReading(v.ctx(), id, version, who, reading, v.now)
		}
	case "close":
		wanted.Outcome = mqtt.AlertOutcome(v.r.FormValue("outcome"))
		_, err = v.store.CloseAlert(v.ctx(), id, version, who, wanted.Outcome, v.now)
	case "undo":
		_, err = v.store.Undo(v.ctx(), id, version, who, v.now)
	default:
		v.missing()
		return
	}
	if err == nil {
		err = v.store.Note(v.ctx(), store.AuditLine{
			At: v.now, By: accounts.AuthorOf(v.r, v.account), What: store.ChangedAlert, About: id, Scope: before.Gate,
			Detail: strings.TrimSpace(wanted.What + " " + string(wanted.Outcome)),
		})
	}
	if sentTwice(wanted, err) {
		err = nil
	}
	v.afterChange(before, err)
}

// sentTwice says whether a change was refused only because its form had been sent before.
func sentTwice(wanted store.Change, err error) bool {
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		return false
	}
	last := conflict.Last
	return last.Version == wanted.Version && last.Who == wanted.Who && last.What == wanted.What && last.Outcome == wanted.Outcome &&
		(last.Reading == nil || *last.Reading == *wanted.Reading)
}

// take takes an alert. That it has gone to the managers meanwhile keeps nobody from it.
func (v *visit) take(id string, version int64) error {
	_, err := v.store.Take(v.ctx(), id, version, v.account.FullName, v.now)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Last.What == "escalate" && conflict.Last.Version == version+1 {
		_, err = v.store.Take(v.ctx(), id, version+1, v.account.FullName, v.now)
	}
	return err
}

// afterChange shows the alert as it is now, and says kindly why it is not as the visitor wanted.
func (v *visit) afterChange(before alertPage, err error) {
	if err == nil {
		v.redirect("/alerts/" + before.Alert.Event)
		return
	}
	page, readErr := v.alertPage(before.Alert.Event)
	if readErr != nil {
		v.fail(errors.Join(err, readErr))
		return
	}
	page.Entered = v.r.FormValue("value")
	var conflict *store.ConflictError
	var unfit readingError
	switch {
	case errors.As(err, &conflict):
		v.showWith(http.StatusConflict, "alert", v.meanwhile(conflict.Last), page)
	case errors.As(err, &unfit):
		v.showWith(http.StatusUnprocessableEntity, "alert", v.tongue.of(phrase(unfit)), page)
	case errors.Is(err, store.ErrState):
		v.showWith(http.StatusConflict, "alert", v.tongue.Say("现在不能这样操作，请看当前状态。", "That can't be done now. This is how it stands."), page)
	default:
		v.fail(err)
	}
}

// meanwhile tells what somebody else did first.
func (v *visit) meanwhile(last store.Change) string {
	ago := v.tongue.Ago(v.now.Sub(last.At))
	if last.Who == "" {
		return fmt.Sprintf(v.tongue.Say("告警 %s前超时，已退回待处理。您没有改动任何内容。", "It was given back %s ago, for nobody had followed it up. Nothing of yours was changed."), ago)
	}
	if last.Who == v.account.FullName {
		return fmt.Sprintf(v.tongue.Say("您自己 %s前已操作（%s），这次没有改动任何内容。", "You changed it yourself %s ago (%s). This time nothing was changed."), ago, v.tongue.Word(last.What))
	}
	return fmt.Sprintf(v.tongue.Say("%s %s前已先操作（%s）。您没有改动任何内容。", "%s was first, %s ago (%s). Nothing of yours was changed."),
		last.Who, ago, v.tongue.Word(last.What))
}

// readingError is what is wrong with a reading that somebody entered.
type readingError phrase

func (e readingError) Error() string { return e.EN }

func readingOf(r *http.Request) (store.Reading, error) {
	text := strings.TrimSpace(strings.ReplaceAll(r.FormValue("value"), ",", "."))
	entered, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return store.Reading{}, readingError{"请输入体温计的读数，例如 37.8。", "Enter what the thermometer says, such as 37.8."}
	}
	reading := store.Reading{
		Celsius: entered, Unit: r.FormValue("unit"), Place: r.FormValue("place"), Thermometer: strings.TrimSpace(r.FormValue("thermometer")),
	}
	if reading.Unit == "°F" {
		reading.Celsius = (entered - 32) * 5 / 9
	}
	if err := reading.Validate(); err != nil {
		if reading.Unit == "°C" && entered >= 86 && entered <= 113 {
			return reading, readingError{fmt.Sprintf("%s 像是华氏度，请选 °F。", text), fmt.Sprintf("%s looks like Fahrenheit: choose °F.", text)}
		}
		return reading, readingError{"读数应在 30 到 45 °C（86 到 113 °F）之间，并选好测量部位。",
			"A reading is between 30 and 45 °C (86 and 113 °F), and has a place where it was measured."}
	}
	return reading, nil
}

// bareReadingOf is a reading whose number is not kept, and so not asked for.
func bareReadingOf(r *http.Request) (store.Reading, error) {
	reading := store.Reading{Place: r.FormValue("place"), Thermometer: strings.TrimSpace(r.FormValue("thermometer")), NotKept: true}
	if reading.Validate() != nil {
		return reading, readingError{"请选好测量部位。", "Choose where it was measured."}
	}
	return reading, nil
}

// habitCookie keeps how somebody measured last, so that a phone asks for the number alone.
const habitCookie = "thermogate_thermometer"

func (v *visit) rememberHabit(reading store.Reading) {
	if reading.NotKept {
		reading.Unit = habitOf(v.r).Unit
	}
	value := url.Values{"unit": {reading.Unit}, "place": {reading.Place}, "thermometer": {reading.Thermometer}}.Encode()
	http.SetCookie(v.w, &http.Cookie{
		Name: habitCookie, Value: value, Path: "/", MaxAge: 12 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: listen.Encrypted(v.r),
	})
}

// habitOf is how somebody measured last, or says that they did now: a form that is refused comes back as it was filled in.
func habitOf(r *http.Request) store.Reading {
	habit := store.Reading{Unit: "°C", Place: store.Ear}
	if cookie, err := r.Cookie(habitCookie); err == nil {
		if values, err := url.ParseQuery(cookie.Value); err == nil && values.Get("unit") != "" {
			habit = store.Reading{Unit: values.Get("unit"), Place: values.Get("place"), Thermometer: values.Get("thermometer")}
		}
	}
	if place := r.PostFormValue("place"); place != "" {
		habit.Unit, habit.Place, habit.Thermometer = cmp.Or(r.PostFormValue("unit"), habit.Unit), place, r.PostFormValue("thermometer")
	}
	return habit
}

// places are where a thermometer measures, in the order in which guards use them.
var places = []string{store.Ear, store.Forehead, store.Armpit, store.Mouth}

// Due is when a take expires.
func (a alertPage) Due() time.Time { return a.TakenAt.Add(store.TakeLimit) }
