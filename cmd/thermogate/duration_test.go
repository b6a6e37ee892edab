package main

import (
	"testing"
	"time"
)

func TestDurationsOfDays(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "2w": 14 * day, "1w2d": 9 * day, "1d12h30m": 36*time.Hour + 30*time.Minute, "90m": 90 * time.Minute,
		"0": 0, "-3s": -3 * time.Second, "1.5h": 90 * time.Minute,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "7 d", "1.5d", "-7d", "7d-3h", "3h7d", "2d1w", "9999999d", "99999d", "999w9999d2562047h", "7y", "7d\n"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("1w2d3h")
	f.Add("0d")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDuration(text)
		if plain, plainErr := time.ParseDuration(text); plainErr == nil && (err != nil || got != plain) {
			t.Errorf("%q is %v, %v; without days it is %v", text, got, err, plain)
		}
	})
}
