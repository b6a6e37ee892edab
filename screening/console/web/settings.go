package web

import (
	"cmp"
	"maps"
	"slices"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// settingInUse is a setting in force, and what it was before.
type settingInUse struct {
	store.Setting
	Before []store.Setting
}

// settingsShown are those of each name.
const settingsShown = 4

// inUse puts what was before beside each setting; the latest change comes first.
func inUse(settings []store.Setting) []settingInUse {
	var all []settingInUse
	at := map[string]int{}
	for _, one := range settings { // the latest first
		if i, known := at[one.Name]; known {
			all[i].Before = append(all[i].Before, one)
			continue
		}
		at[one.Name] = len(all)
		all = append(all, settingInUse{Setting: one})
	}
	return all
}

// told leaves out what a gate's events tell less well than its status, where that tells anything.
func told(settings []store.Setting) []store.Setting {
	tells := map[mqtt.Gate]bool{}
	for _, one := range settings {
		tells[one.Gate] = tells[one.Gate] || one.Told
	}
	return slices.DeleteFunc(slices.Clone(settings), func(one store.Setting) bool {
		return tells[one.Gate] && !one.Told && one.Name != "camera" && one.Name != "version"
	})
}

// mattering are the settings that are looked at most, in their order.
var mattering = []string{
	"policy.kind", "policy.threshold_celsius", "policy.offset_celsius", "policy.margin_celsius", "measure.reference_celsius", "door.output", "camera", "version",
}

// sort puts settings where they are shown.
func (p *gatePage) sort(settings []settingInUse) {
	for _, one := range settings {
		p.Told = p.Told || one.Told
		if one.Written.After(p.Written) {
			p.Written = one.Written
		}
		switch {
		case one.Name == store.Hash:
			p.Hash = one.Value
		case one.Value == "" && len(one.Before) == 0:
		case len(one.Before) > 0 || !one.Told || slices.Contains(mattering, one.Name):
			p.Settings = append(p.Settings, one)
		default:
			p.Others = append(p.Others, one)
		}
	}
	slices.SortStableFunc(p.Settings, func(a, b settingInUse) int {
		return cmp.Compare(uint(slices.Index(mattering, a.Name)), uint(slices.Index(mattering, b.Name)))
	})
	slices.SortFunc(p.Others, func(a, b settingInUse) int { return cmp.Compare(a.Name, b.Name) })
}

// difference is a setting that not all gates of a site have alike.
type difference struct {
	Site, Name string
	Values     []valueOf // the one that most have first
}

// valueOf is what some gates are set to.
type valueOf struct {
	store.Setting // of one of them
	Gates         []mqtt.Gate
}

// own are settings that every gate has for itself.
var own = []string{store.Hash, "camera", "camera.name", "camera.uri"}

// differences are what the gates of each site that are listed are set to differently.
func (v *visit) differences(rows []gateRow) ([]difference, error) {
	listed := map[string]map[string]bool{}
	for _, row := range rows {
		if listed[row.Site] == nil {
			listed[row.Site] = map[string]bool{}
		}
		listed[row.Site][row.Name] = true
	}
	var all []difference
	for _, site := range slices.Sorted(maps.Keys(listed)) {
		settings, err := v.store.SettingsInForce(v.ctx(), site)
		if err != nil {
			return nil, err
		}
		settings = slices.DeleteFunc(settings, func(one store.Setting) bool { return !listed[site][one.Gate.Name] || slices.Contains(own, one.Name) })
		all = append(all, differing(site, told(settings))...)
	}
	return all, nil
}

// differing takes settings in the order of their names. A gate that does not tell one differs in nothing.
func differing(site string, settings []store.Setting) []difference {
	var all []difference
	for len(settings) > 0 {
		n := slices.IndexFunc(settings, func(one store.Setting) bool { return one.Name != settings[0].Name })
		if n < 0 {
			n = len(settings)
		}
		values := map[string]*valueOf{}
		for _, one := range settings[:n] {
			if values[one.Value] == nil {
				values[one.Value] = &valueOf{Setting: one}
			}
			values[one.Value].Gates = append(values[one.Value].Gates, one.Gate)
		}
		if len(values) > 1 {
			d := difference{Site: site, Name: settings[0].Name}
			for _, value := range slices.Sorted(maps.Keys(values)) {
				d.Values = append(d.Values, *values[value])
			}
			slices.SortStableFunc(d.Values, func(a, b valueOf) int { return len(b.Gates) - len(a.Gates) })
			all = append(all, d)
		}
		settings = settings[n:]
	}
	return all
}
