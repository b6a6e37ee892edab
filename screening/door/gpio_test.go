package door

import (
	"strings"
	"testing"
	"time"

	"thermogate/screening/policy"
)

func TestGPIOThatIsNone(t *testing.T) {
	for chip, says := range map[string]string{
		"/dev/gpiochip-none": "lists those of this machine",
		"/dev/null":          "no GPIO chip",
	} {
		cfg := DefaultConfig()
		cfg.Output, cfg.GPIO.Chip = GPIO, chip
		if _, err := Check(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "door.gpio.chip "+chip) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v", err)
		}
		got := *newDoor(t, cfg).carryOut(command{event(policy.Pass), time.Now()}).Data.Door
		if got.Accepted == nil || *got.Accepted || !strings.Contains(got.Error, says) {
			t.Errorf("%+v", got)
		}
	}
}
