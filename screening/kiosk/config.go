package kiosk

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// PageConfig is what a site chooses of the page in front of the person.
type PageConfig struct {
	// Languages are codes of those on the page, one or two, the first one large. Where there are none, it is the browser's
	// first, and the other of Chinese and English second.
	Languages []string `yaml:"languages"`
	// Show is what a verdict shows beside its words.
	Show Shown `yaml:"show"`
	// Sound is how a verdict sounds.
	Sound Sound `yaml:"sound"`
	// Volume of it, above 0 and up to 1.
	Volume float64 `yaml:"volume"`
	// AlertWait is how long after an alert the next person waits for the console to say that staff see to it.
	AlertWait time.Duration `yaml:"alert_wait"`
	// AskCode asks whoever stands before the gate for a pass code, where the gate has readers and none was shown yet.
	AskCode bool `yaml:"ask_code"`
	// Purpose and Consent are what a gate with readers says at the bottom of the page, instead of words of its own: what people
	// are measured for, and what they agree to who show a code.
	Purpose Text `yaml:"purpose"`
	Consent Text `yaml:"consent"`
}

// Text is a site's own words, in the languages that its page shows; where one is empty the gate has its own.
type Text struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
	VI string `yaml:"vi"`
}

func (t Text) in(code string) string {
	return map[string]string{"zh": t.ZH, "en": t.EN, "vi": t.VI}[code]
}

// maxText is how many characters of a site's words there is room for.
const maxText = 300

// Shown is what a verdict shows beside its words.
type Shown string

// What it may show.
const (
	ShowBody    Shown = "body"    // the body temperature as estimated, and the level it was compared with
	ShowOutcome Shown = "outcome" // no number
)

// Sound is how a verdict sounds.
type Sound string

// The sounds.
const (
	SoundVoice Sound = "voice" // a tone, and the words where the browser has a voice for them
	SoundTone  Sound = "tone"
	SoundOff   Sound = "off"
)

// DefaultPageConfig shows numbers and speaks.
func DefaultPageConfig() PageConfig {
	return PageConfig{Show: ShowBody, Sound: SoundVoice, Volume: 0.8, AlertWait: 30 * time.Second}
}

// Validate names the first impossible key.
func (c PageConfig) Validate() error {
	known := readDictionary().codes()
	for i, code := range c.Languages {
		if !slices.Contains(known, code) {
			return fmt.Errorf("languages has %q; there are %s", code, strings.Join(known, ", "))
		}
		if slices.Contains(c.Languages[:i], code) {
			return fmt.Errorf("languages has %s twice", code)
		}
	}
	for key, text := range map[string]Text{"purpose": c.Purpose, "consent": c.Consent} {
		for _, code := range known {
			if utf8.RuneCountInString(text.in(code)) > maxText {
				return fmt.Errorf("%s.%s is longer than %d characters; a page at a gate has no room for more", key, code, maxText)
			}
		}
	}
	switch {
	case len(c.Languages) > 2:
		return fmt.Errorf("languages has %d; a page that is read at a glance has room for 2", len(c.Languages))
	case c.Show != ShowBody && c.Show != ShowOutcome:
		return fmt.Errorf("show is %q; it must be %s or %s", c.Show, ShowBody, ShowOutcome)
	case c.Sound != SoundVoice && c.Sound != SoundTone && c.Sound != SoundOff:
		return fmt.Errorf("sound is %q; it must be %s, %s or %s", c.Sound, SoundVoice, SoundTone, SoundOff)
	case !(c.Volume > 0 && c.Volume <= 1):
		return fmt.Errorf("volume is %v; it must be above 0, up to 1; for silence set sound to %s", c.Volume, SoundOff)
	case c.AlertWait < 0 || c.AlertWait > time.Hour:
		return fmt.Errorf("alert_wait is %s; it must be 0s to 1h", c.AlertWait)
	}
	return nil
}
