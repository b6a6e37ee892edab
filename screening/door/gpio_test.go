package door

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/event"
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
		got := *newDoor(t, cfg).carryOut(command{sample(event.Pass), time.Now()}).Data.Door
		if got.Accepted == nil || *got.Accepted || !strings.Contains(got.Error, says) {
			t.Errorf("%+v", got)
		}
	}
}

// simulatedLine is a line of the kernel's gpio-sim: the chip's device and the file that shows the line's level.
func simulatedLine(t *testing.T, line int) (chip, level string) {
	t.Helper()
	const root = "/sys/kernel/config/gpio-sim"
	if _, err := os.Stat(root); err != nil {
		t.Skip("skipped, there is no GPIO chip to try (as root: modprobe gpio-sim)")
	}
	device, bank := filepath.Join(root, "thermogate-test"), filepath.Join(root, "thermogate-test", "bank")
	if err := os.MkdirAll(bank, 0o755); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(device, "live")
	t.Cleanup(func() {
		os.WriteFile(live, []byte("0"), 0)
		os.Remove(bank)
		os.Remove(device)
	})
	if err := errors.Join(os.WriteFile(filepath.Join(bank, "num_lines"), []byte("8"), 0), os.WriteFile(live, []byte("1"), 0)); err != nil {
		t.Fatal(err)
	}
	chipName, deviceName := content(t, filepath.Join(bank, "chip_name")), content(t, filepath.Join(device, "dev_name"))
	return filepath.Join("/dev", chipName), fmt.Sprintf("/sys/devices/platform/%s/%s/sim_gpio%d/value", deviceName, chipName, line)
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestPulseOfALine(t *testing.T) {
	for _, fail := range []Fail{Secure, Safe} {
		for _, activeLow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, active low %t", fail, activeLow), func(t *testing.T) {
				chip, level := simulatedLine(t, 5)
				energised := func() bool { return (content(t, level) == "1") != activeLow }
				becomes := func(want bool) {
					t.Helper()
					for deadline := time.Now().Add(5 * time.Second); energised() != want; time.Sleep(time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatalf("the line does not become %t", want)
						}
					}
				}
				check := func(cfg Config, want string) {
					t.Helper()
					found, err := Check(t.Context(), cfg)
					if text := fmt.Sprint(found, err); !strings.Contains(text, want) {
						t.Errorf("check says %s, want %s", text, want)
					}
				}
				cfg := DefaultConfig()
				cfg.Output, cfg.Fail, cfg.Pulse = GPIO, fail, 200*time.Millisecond
				cfg.GPIO = GPIOConfig{Chip: chip, Line: 5, ActiveLow: activeLow}
				check(cfg, "is free")
				beyond := cfg
				beyond.GPIO.Line = 8
				check(beyond, "no such line")

				d := newDoor(t, cfg)
				answers := make(chan event.Event, 1)
				d.calls.Answered = func(e event.Event) { answers <- e }
				ended := make(chan struct{})
				go func() { defer close(ended); d.Run() }()
				d.Open(sample(event.Pass))
				if got := answer(t, answers); got.Accepted == nil || !*got.Accepted {
					t.Fatalf("%+v", got)
				}
				if energised() != (fail == Secure) {
					t.Error("accepted, but the line has another level")
				}
				check(cfg, "held by the gate that runs")
				becomes(fail == Safe)
				second := newDoor(t, cfg)
				if got := *second.carryOut(command{sample(event.Pass), time.Now()}).Data.Door; *got.Accepted || !strings.Contains(got.Error, "another program uses this line") {
					t.Errorf("%+v", got)
				}
				d.Open(sample(event.Pass))
				answer(t, answers)
				d.Close()
				<-ended
				check(cfg, "is free")
			})
		}
	}
}
