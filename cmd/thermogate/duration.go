package main

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// duration is a flag that also takes days and weeks.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }
func (d *duration) Type() string   { return "duration" }

func (d *duration) Set(text string) error {
	parsed, err := parseDuration(text)
	if err != nil {
		return err
	}
	*d = duration(parsed)
	return nil
}

var daysFirst = regexp.MustCompile(`(?s)^(\d{1,3}w)?(\d{1,4}d)?(.*)$`)

// parseDuration reads what time.ParseDuration does, and weeks and days before it: 7d, 2w, 1d12h. A day has 24 hours.
func parseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	var whole time.Duration
	parts := daysFirst.FindStringSubmatch(text)
	for i, unit := range []time.Duration{7 * day, day} {
		if part := parts[i+1]; part != "" {
			n, err := strconv.Atoi(part[:len(part)-1])
			if err != nil {
				return 0, err
			}
			whole += time.Duration(n) * unit
		}
	}
	rest := parts[3]
	if rest == "" && whole > 0 {
		return whole, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || whole > 0 && d < 0 || whole+d < whole && whole > 0 {
		return 0, errors.New("a duration is a number with its unit, such as 90m, 24h, 7d or 2w")
	}
	return whole + d, nil
}
