package gate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"thermogate/screening/policy"
)

// ambientHolds is how long the gate goes by an ambient temperature that it was told.
const ambientHolds = time.Hour

// ambient is what is known of the air's temperature: what the gate was told lately, else what its config says.
type ambient struct {
	configured *float64
	told       float64
	toldAt     time.Time
}

// at is NaN where nothing is known.
func (a *ambient) at(t time.Time) float64 {
	switch {
	case !a.toldAt.IsZero() && t.Sub(a.toldAt) <= ambientHolds:
		return a.told
	case a.configured != nil:
		return *a.configured
	}
	return math.NaN()
}

// SetAmbient tells the gate the ambient temperature for the hour from the newest frame on.
func (g *Gate) SetAmbient(celsius float64) error {
	if !(celsius >= policy.LeastAmbientCelsius && celsius <= policy.MostAmbientCelsius) {
		return fmt.Errorf("ambient %g °C: it is %g to %g where people are screened", celsius, policy.LeastAmbientCelsius, policy.MostAmbientCelsius)
	}
	if g.previous.IsZero() {
		return errors.New("no frame has come from the camera yet")
	}
	g.floor.ambient.told, g.floor.ambient.toldAt = celsius, g.previous
	return nil
}
