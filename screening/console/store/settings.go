package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// Setting is what a gate was set to, as its events tell it.
type Setting struct {
	Name  string // policy, threshold, offset and a site, reference, door, camera or version
	Value string
	Since time.Time // of the first event that told it
	Until time.Time // of the first event that told another; zero while it is in force
}

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
	if data.SkinSite == event.InnerCanthus || data.SkinSite == event.Forehead || data.SkinSite == event.WholeFace {
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

// settingSeen is the newest value of a setting, and the first event that told it.
type settingSeen struct{ event, value string }

// noteSettings notes which settings events tell that are not known yet. Of an event that comes late it is only noted that
// what is in force has been so for longer.
func (s *Store) noteSettings(ctx context.Context, tx *sql.Tx, fresh []*Event) error {
	for _, e := range fresh {
		for name, value := range settingsOf(e.Data) {
			of := settingOf{e.Gate, name}
			seen, err := s.newestSetting(ctx, tx, of)
			if err != nil {
				return err
			}
			var changed int64
			switch {
			case seen.value == value && e.ID < seen.event:
				changed, err = execute(ctx, tx, `UPDATE settings_seen SET event = $1 WHERE site = $2 AND gate = $3 AND name = $4 AND event = $5
					AND NOT EXISTS (SELECT 1 FROM settings_seen AS other WHERE site = $2 AND gate = $3 AND name = $4 AND event >= $1 AND event < $5)`,
					e.ID, e.Gate.Site, e.Gate.Name, name, seen.event)
			case seen.value != value && e.ID > seen.event:
				changed, err = execute(ctx, tx, "INSERT INTO settings_seen (site, gate, name, event, value) VALUES ($1, $2, $3, $4, $5)",
					e.Gate.Site, e.Gate.Name, name, e.ID, value)
			}
			if err != nil {
				return err
			}
			if changed > 0 {
				s.settings[of] = settingSeen{e.ID, value}
			}
		}
	}
	return nil
}

func (s *Store) newestSetting(ctx context.Context, tx *sql.Tx, of settingOf) (settingSeen, error) {
	if seen, known := s.settings[of]; known {
		return seen, nil
	}
	var seen settingSeen
	err := tx.QueryRowContext(ctx, "SELECT event, value FROM settings_seen WHERE site = $1 AND gate = $2 AND name = $3 ORDER BY event DESC LIMIT 1",
		of.gate.Site, of.gate.Name, of.name).Scan(&seen.event, &seen.value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return seen, err
	}
	s.settings[of] = seen
	return seen, nil
}

// Settings returns the newest settings of a gate, the latest first, so many of each name.
func (s *Store) Settings(ctx context.Context, gate mqtt.Gate, limit int) ([]Setting, error) {
	settings, err := collect(ctx, s.read, func(rows *sql.Rows) (one Setting, err error) {
		var first string
		if err := rows.Scan(&one.Name, &one.Value, &first); err != nil {
			return one, err
		}
		id, err := ulid.ParseStrict(first)
		one.Since = ulid.Time(id.Time()).UTC()
		return one, err
	}, `SELECT name, value, event FROM (SELECT name, value, event, row_number() OVER (PARTITION BY name ORDER BY event DESC) AS nth
		FROM settings_seen WHERE site = $1 AND gate = $2) AS numbered WHERE nth <= $3 ORDER BY event DESC, name`, gate.Site, gate.Name, limit)
	after := map[string]time.Time{}
	for i := range settings {
		settings[i].Until = after[settings[i].Name]
		after[settings[i].Name] = settings[i].Since
	}
	return settings, err
}
