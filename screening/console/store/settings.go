package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Setting is what a gate was set to, as its status tells it, or its events at a gate whose status does not.
type Setting struct {
	Gate    mqtt.Gate
	Name    string // a key of the gate's configuration; by events policy, threshold, offset and a site, reference, door, camera or version
	Value   string
	Since   time.Time // when it was first told
	Until   time.Time // when another was; zero while it is in force
	Told    bool      // by the gate's status
	Written time.Time // when the gate's configuration file was changed last before that; zero where unknown
}

// Hash is the name under which a gate's status tells the hash of all its settings.
const Hash = "hash"

// What is kept of settings, so that no gate fills the store with them.
const (
	maxSettingChanges = 100              // of each name
	maxSettings       = 300              // names of a gate
	maxSettingsKnown  = 300_000 / shares // of ten thousand gates, each with some ten, and as many again for shares are not the same size
	maxSettingName    = 80               // bytes
	maxSettingValue   = 160
)

// settingsOf are those that an event tells. What is not measured says nothing of the settings behind it, and with the group
// the threshold is no setting.
func settingsOf(data event.Data) map[string]string {
	told := map[string]string{}
	celsius := func(name string, value *float64) {
		if value != nil {
			told[name] = fmt.Sprintf("%.2f °C", *value)
		}
	}
	tell := func(name, value string) {
		if value != "" && len(value) <= maxNote && !strings.ContainsFunc(value, unicode.IsControl) {
			told[name] = value
		}
	}
	tell("policy", data.Policy)
	if data.Policy == "offset" {
		celsius("threshold", data.ThresholdCelsius)
	}
	// By the fused policy each person has an offset of their own.
	if data.Policy != "fused" && (data.SkinSite == event.InnerCanthus || data.SkinSite == event.Forehead || data.SkinSite == event.WholeFace) {
		celsius("offset "+string(data.SkinSite), data.OffsetCelsius)
	}
	celsius("reference", data.Reference.NominalCelsius)
	if data.Door != nil {
		tell("door", data.Door.Output)
	}
	tell("camera", data.Camera)
	tell("version", data.Version)
	return told
}

type settingOf struct {
	gate mqtt.Gate
	name string
}

// settingSeen is the newest value of a setting, and the first event that told it, or the first id of the time when a status did.
type settingSeen struct {
	event, value string
	status       bool
}

// statusKnows are the settings of which events tell what a status tells better.
func statusKnows(name string) bool { return name != "camera" && name != "version" }

// noteSettings notes which settings events tell that are not known yet. Of an event that comes late it is only noted that
// what is in force has been so for longer.
func (s *Store) noteSettings(ctx context.Context, tx *sql.Tx, fresh []*Event) error {
	for _, h := range s.sharesOf(fresh) {
		if len(h.settings) > maxSettingsKnown {
			clear(h.settings)
		}
	}
	told := make([]toldSettings, len(fresh))
	for i, e := range fresh {
		told[i] = toldSettings{e.Gate, e.ID, settingsOf(e.Data)}
	}
	if err := s.readySettings(ctx, tx, told); err != nil {
		return err
	}
	if err := s.beginEarlier(ctx, tx, told); err != nil {
		return err
	}
	var first []any // settings that were never told before
	for _, e := range told {
		known := s.shareOf(e.gate.Site).settings
		for name, value := range s.toldByEvents(e) {
			of := settingOf{e.gate, name}
			seen := known[of]
			var changed int64
			var err error
			switch {
			case seen.value == value && e.event < seen.event:
				changed, err = execute(ctx, tx, `UPDATE settings_seen SET event = $1 WHERE site = $2 AND gate = $3 AND name = $4 AND event = $5
					AND NOT EXISTS (SELECT 1 FROM settings_seen AS other WHERE site = $2 AND gate = $3 AND name = $4 AND event >= $1 AND event < $5)`,
					e.event, e.gate.Site, e.gate.Name, name, seen.event)
			case seen.event == "":
				changed = 1
				first = append(first, e.gate.Site, e.gate.Name, name, e.event, value, nil)
			case seen.value != value && e.event > seen.event:
				changed = 1
				err = s.addSetting(ctx, tx, of, settingSeen{e.event, value, false}, nil)
			}
			if err != nil {
				return err
			}
			if changed > 0 {
				known[of] = settingSeen{e.event, value, false}
			}
		}
	}
	return s.inSteps(first, 6, func(rows string, args []any) error {
		_, err := tx.ExecContext(ctx, addSettings+rows+replaceSetting, args...)
		return err
	})
}

// toldSettings are what an event tells.
type toldSettings struct {
	gate   mqtt.Gate
	event  string // its id
	values map[string]string
}

// toldByEvents are those of them that no status tells.
func (s *Store) toldByEvents(e toldSettings) iter.Seq2[string, string] {
	status := s.shareOf(e.gate.Site).settings[settingOf{e.gate, Hash}].status
	return func(yield func(string, string) bool) {
		for name, value := range e.values {
			if status && statusKnows(name) {
				continue
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// beginEarlier notes with one statement that settings in force have been so since before the event that first told them: what
// has waited in plants comes late, and so does each event of it. Settings that were others meanwhile it leaves out.
func (s *Store) beginEarlier(ctx context.Context, tx *sql.Tx, told []toldSettings) error {
	first, others := map[settingOf]string{}, map[settingOf]bool{}
	for _, e := range told { // in the order of their ids
		for name, value := range s.toldByEvents(e) {
			of := settingOf{e.gate, name}
			seen := s.shareOf(e.gate.Site).settings[of]
			if others[of] = others[of] || seen.value != value; e.event < seen.event && first[of] == "" {
				first[of] = e.event
			}
		}
	}
	var args []any
	for of, event := range first {
		if !others[of] {
			args = append(args, of.gate.Site, of.gate.Name, of.name, s.shareOf(of.gate.Site).settings[of].event, event)
		}
	}
	return s.inSteps(args, 5, func(rows string, args []any) error {
		type begun struct {
			settingOf
			event string
		}
		all, err := collect(ctx, tx, func(rows *sql.Rows) (one begun, err error) {
			err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.name, &one.event)
			return one, err
		}, "UPDATE settings_seen SET event = earlier.column5 FROM (VALUES "+rows+`) AS earlier
			WHERE settings_seen.site = earlier.column1 AND settings_seen.gate = earlier.column2 AND settings_seen.name = earlier.column3 AND settings_seen.event = earlier.column4
			AND NOT EXISTS (SELECT 1 FROM settings_seen AS other WHERE other.site = earlier.column1 AND other.gate = earlier.column2 AND other.name = earlier.column3
				AND other.event >= earlier.column5 AND other.event < earlier.column4)
			RETURNING site, gate, name, event`, args...)
		for _, one := range all {
			known := s.shareOf(one.gate.Site).settings
			known[one.settingOf] = settingSeen{one.event, known[one.settingOf].value, false}
		}
		return err
	})
}

const (
	addSettings    = "INSERT INTO settings_seen (site, gate, name, event, value, written) VALUES "
	replaceSetting = " ON CONFLICT (site, gate, name, event) DO UPDATE SET value = excluded.value, written = excluded.written"
)

// addSetting adds a value, and forgets the oldest ones of so many.
func (s *Store) addSetting(ctx context.Context, tx *sql.Tx, of settingOf, seen settingSeen, written *int64) error {
	_, err := tx.ExecContext(ctx, addSettings+"($1, $2, $3, $4, $5, $6)"+replaceSetting,
		of.gate.Site, of.gate.Name, of.name, seen.event, seen.value, written)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM settings_seen WHERE site = $1 AND gate = $2 AND name = $3 AND event <
		(SELECT min(event) FROM (SELECT event FROM settings_seen WHERE site = $1 AND gate = $2 AND name = $3 ORDER BY event DESC LIMIT $4) AS kept)`,
		of.gate.Site, of.gate.Name, of.name, maxSettingChanges)
	return err
}

// forgetSettings deletes what was of names that are told no more.
func forgetSettings(ctx context.Context, tx *sql.Tx, gate mqtt.Gate) error {
	known, err := newestSettings(ctx, tx, gate)
	if err != nil {
		return err
	}
	for _, one := range known {
		if one.Value != "" || !one.Told {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM settings_seen WHERE site = $1 AND gate = $2 AND name = $3", gate.Site, gate.Name, one.Name); err != nil {
			return err
		}
	}
	return nil
}

// CheckSettings refuses what no gate has for settings.
func CheckSettings(told mqtt.Settings) error {
	if len(told.Values) > maxSettings {
		return fmt.Errorf("a gate has no %d settings", len(told.Values))
	}
	fine := func(text string, most int) bool {
		return len(text) <= most && !strings.ContainsFunc(text, unicode.IsControl)
	}
	for name, value := range told.Values {
		if name == "" || !fine(name, maxSettingName) || !fine(value, maxSettingValue) {
			return fmt.Errorf("%.40q is no setting that could be %.40q", name, value)
		}
	}
	if !fine(told.Hash, maxSettingName) {
		return fmt.Errorf("%.40q is no hash of settings", told.Hash)
	}
	return nil
}

// SetSettings notes what a gate's status says of its settings: those that are not as they were. What it tells no more has no
// value from then on.
func (s *Store) SetSettings(ctx context.Context, gate mqtt.Gate, told mqtt.Settings, at time.Time) error {
	if err := CheckSettings(told); err != nil {
		return err
	}
	values := map[string]string{Hash: told.Hash}
	maps.Copy(values, told.Values)
	var written int64
	if !told.Written.IsZero() && told.Written.Before(at.Add(time.Hour)) { // else by a clock that is not set
		written = milliseconds(told.Written)
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		known, err := newestSettings(ctx, tx, gate)
		if err != nil {
			return err
		}
		for _, one := range known {
			if _, still := values[one.Name]; !still && one.Told {
				values[one.Name] = ""
			}
			if value, told := values[one.Name]; told && value == one.Value && one.Told {
				delete(values, one.Name)
			}
		}
		if len(known)+len(values) > 2*maxSettings {
			if err := forgetSettings(ctx, tx, gate); err != nil {
				return err
			}
		}
		for name, value := range values {
			of, seen := settingOf{gate, name}, settingSeen{idAt(at), value, true}
			if err := s.addSetting(ctx, tx, of, seen, &written); err != nil {
				return err
			}
			delete(s.shareOf(gate.Site).settings, of)
		}
		return nil
	})
	if err != nil {
		clear(s.shareOf(gate.Site).settings)
		return fmt.Errorf("noting the settings of %s: %w", event.Source(gate.Site, gate.Name), err)
	}
	return nil
}

// readySettings has the newest values of what events tell at hand, those of many gates with one look.
func (s *Store) readySettings(ctx context.Context, tx *sql.Tx, told []toldSettings) error {
	gates := map[mqtt.Gate]bool{}
	for _, e := range told {
		known := s.shareOf(e.gate.Site).settings
		ready := func(name string) {
			of := settingOf{e.gate, name}
			if _, has := known[of]; !has {
				known[of], gates[e.gate] = settingSeen{}, true
			}
		}
		ready(Hash)
		for name := range e.values {
			ready(name)
		}
	}
	type found struct {
		settingOf
		settingSeen
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(gates)), stepRows) {
		var where conditions
		for _, gate := range some {
			where.add("site = ? AND gate = ?", gate.Site, gate.Name)
		}
		all, err := collect(ctx, tx, func(rows *sql.Rows) (one found, err error) {
			err = rows.Scan(&one.gate.Site, &one.gate.Name, &one.name, &one.event, &one.value, &one.status)
			return one, err
		}, "SELECT site, gate, name, event, value, written IS NOT NULL FROM settings_seen WHERE "+newestOfName+" AND ("+where.any()+")", where.args...)
		if err != nil {
			return err
		}
		for _, one := range all {
			s.shareOf(one.gate.Site).settings[one.settingOf] = one.settingSeen
		}
	}
	return nil
}

// newestOfName are the settings in force.
const newestOfName = `event = (SELECT max(event) FROM settings_seen AS other
	WHERE other.site = settings_seen.site AND other.gate = settings_seen.gate AND other.name = settings_seen.name)`

const settingColumns = "site, gate, name, value, event, written"

func scanSetting(rows *sql.Rows) (one Setting, err error) {
	var first string
	var written sql.NullInt64
	if err := rows.Scan(&one.Gate.Site, &one.Gate.Name, &one.Name, &one.Value, &first, &written); err != nil {
		return one, err
	}
	id, err := ulid.ParseStrict(first)
	one.Since, one.Told, one.Written = ulid.Time(id.Time()).UTC(), written.Valid, fromMilliseconds(written.Int64)
	return one, err
}

// newestSettings are the newest of each name.
func newestSettings(ctx context.Context, q querier, gate mqtt.Gate) ([]Setting, error) {
	return collect(ctx, q, scanSetting, "SELECT "+settingColumns+` FROM settings_seen WHERE site = $1 AND gate = $2 AND `+newestOfName, gate.Site, gate.Name)
}

// Settings returns the newest settings of a gate, the latest first, so many of each name.
func (s *Store) Settings(ctx context.Context, gate mqtt.Gate, limit int) ([]Setting, error) {
	settings, err := collect(ctx, s.read, scanSetting, "SELECT "+settingColumns+` FROM (SELECT settings_seen.*, row_number() OVER (PARTITION BY name ORDER BY event DESC) AS nth
		FROM settings_seen WHERE site = $1 AND gate = $2) AS numbered WHERE nth <= $3 ORDER BY event DESC, name`, gate.Site, gate.Name, limit)
	after := map[string]time.Time{}
	for i := range settings {
		settings[i].Until = after[settings[i].Name]
		after[settings[i].Name] = settings[i].Since
	}
	return settings, err
}

// SettingsInForce returns the newest of each of all gates of a site, in order of names and gates. Those that a status tells
// no more have no value.
func (s *Store) SettingsInForce(ctx context.Context, site string) ([]Setting, error) {
	return collect(ctx, s.read, scanSetting, "SELECT "+settingColumns+` FROM settings_seen WHERE site = $1 AND `+newestOfName+" ORDER BY name, gate", site)
}
