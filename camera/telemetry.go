package camera

import (
	"cmp"
	"fmt"
	"time"

	"thermogate/camera/v4l2"
)

// cut takes the rows of telemetry off a picture of 16-bit counts and reads them. The first picture decides which rows those
// are: by their contents, or by its size alone where the camera was asked for telemetry.
func (d *decoder) cut(counts []uint16, width, height int) (picture []uint16, pictureHeight int, told *v4l2.Telemetry) {
	telemetry, rows, found := v4l2.FindTelemetry(counts, width, height)
	if d.beside == nil {
		if !found && d.asked {
			rows = v4l2.GuessTelemetry(counts, width, height)
		}
		d.beside = &rows
	}
	if found && rows == *d.beside {
		told = &telemetry
	}
	top, bottom := d.beside.Above, height-d.beside.Below
	return counts[top*width : bottom*width], bottom - top, told
}

// sinceFFC is what the telemetry says of the last shutter event; negative where there is none.
func sinceFFC(told *v4l2.Telemetry) time.Duration {
	if told == nil {
		return -1
	}
	return told.SinceFFC
}

// agreeUnits returns the units of a source by what is set and what its telemetry says; "counts" where nobody says.
func agreeUnits(set string, told *v4l2.Telemetry) (string, error) {
	if told == nil || told.Units == "" {
		return cmp.Or(set, unitsCounts), nil
	}
	if told.Units == unitsCounts && (set == unitsLinear || set == unitsPlanck) { // which says what they mean
		return set, nil
	}
	if set != "" && set != told.Units {
		return set, fmt.Errorf("its units are %s by config, sidecar or earlier pictures, and %s by the camera's telemetry; "+
			"take the setting out, or set up the camera", set, told.Units)
	}
	return told.Units, nil
}
