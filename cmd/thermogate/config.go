package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"thermogate/camera"
	"thermogate/camera/clip"
	"thermogate/camera/radiometry"
	"thermogate/cmd/internal/program"
	"thermogate/screening/badge"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/gate"
	"thermogate/screening/journal"
	"thermogate/screening/kiosk"
	"thermogate/screening/listen"
	"thermogate/screening/measure"
	"thermogate/screening/metrics"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
	"thermogate/screening/settings"
	"thermogate/screening/track"
)

// config is the one file of a gate. deploy/thermogate.yaml explains every key.
type config struct {
	Site    string           `yaml:"site"`
	Gate    string           `yaml:"gate"`
	Camera  cameraConfig     `yaml:"camera"`
	Measure measure.Config   `yaml:"measure"`
	Policy  policy.Config    `yaml:"policy"`
	Track   track.Config     `yaml:"track"`
	Visit   gate.VisitConfig `yaml:"visit"`
	// OutcomeOnly has nothing leave the gate, or be kept in it, of what it measures of people but the outcome.
	OutcomeOnly bool `yaml:"outcome_only"`
	// DataDir holds the journal and what the group policy learnt.
	DataDir string            `yaml:"data_dir"`
	Clips   clip.Config       `yaml:"clips"`
	Journal journal.Config    `yaml:"journal"`
	MQTT    mqtt.Config       `yaml:"mqtt"`
	Broker  mqtt.BrokerConfig `yaml:"broker"`
	Badge   badge.Config      `yaml:"badge"`
	Door    door.Config       `yaml:"door"`
	Kiosk   kiosk.PageConfig  `yaml:"kiosk"`
	HTTP    httpConfig        `yaml:"http"`
	// Console is the config file of a console that runs within the gate; none does where it is empty.
	Console string `yaml:"console"`
	// ConsoleURL is where browsers reach the console's pages, also those of one on a server; empty is the console within.
	ConsoleURL string `yaml:"console_url"`

	file    string    // that it is from; empty without one
	written time.Time // when that was changed last
}

type cameraConfig struct {
	URI         string        `yaml:"uri"`
	Name        string        `yaml:"name"`
	Orientation string        `yaml:"orientation"`
	FPS         float64       `yaml:"fps"`
	Units       string        `yaml:"units"`
	Stall       time.Duration `yaml:"stall"`
	// Visible is a second camera, with a lens for eyes, before which people hold their pass codes; empty is none.
	Visible string `yaml:"visible"`
	// Moving is true for a camera that a patrol robot or a trolley takes around.
	Moving bool `yaml:"moving"`
	// Linear is a scale without a name, used instead of Units where KelvinPerCount is given.
	radiometry.Linear `yaml:",inline"`
	// Planck is the camera's own calibration, used instead of both where R1 is given.
	Planck radiometry.Planck `yaml:"planck"`
}

func defaultConfig() config {
	return config{
		Site:    "site",
		Gate:    "gate",
		Camera:  cameraConfig{Stall: 2 * time.Second, Linear: radiometry.FromAbsoluteZero(0), Planck: radiometry.SkinPlanck()},
		Measure: measure.DefaultConfig(),
		Policy:  policy.DefaultConfig(),
		Track:   track.DefaultConfig(),
		Visit:   gate.DefaultVisitConfig(),
		DataDir: "thermogate-data",
		Clips:   clip.DefaultConfig(),
		Journal: journal.DefaultConfig(),
		MQTT:    ownBroker(mqtt.DefaultConfig()),
		Broker:  mqtt.DefaultBrokerConfig(),
		Badge:   badge.DefaultConfig(),
		Door:    door.DefaultConfig(),
		Kiosk:   kiosk.DefaultPageConfig(),
		HTTP:    defaultHTTPConfig(),
	}
}

// exampleConfig lists all keys.
const exampleConfig = "deploy/thermogate.yaml"

// certificateFolder is where in data_dir a certificate is kept that the gate has made.
const certificateFolder = "tls"

// loadConfig reads the file over the defaults; an empty path leaves these. Its errors name the file, the line and what
// would be right.
func loadConfig(path string) (config, error) {
	c := defaultConfig()
	if path == "" {
		return c, nil
	}
	if err := settings.Load(path, &c, c.validate, exampleConfig); err != nil {
		return c, program.Usage(err)
	}
	c.file = path
	if file, err := os.Stat(path); err == nil {
		c.written = file.ModTime()
	}
	c.HTTP.Folder = filepath.Join(c.DataDir, certificateFolder)
	return c, nil
}

// validate reports the first value that can't be meant, by its key.
func (c *config) validate() error {
	for _, name := range []struct{ key, value string }{{"site", c.Site}, {"gate", c.Gate}} {
		if !plainName.MatchString(name.value) {
			return fmt.Errorf("%s is %q; a name is made of letters, digits, - and _, for it stands in topics and addresses", name.key, name.value)
		}
	}
	if err := camera.CheckName(c.Camera.Name); err != nil {
		return fmt.Errorf("camera.name: %w", err)
	}
	if _, err := camera.ParseOrientation(c.Camera.Orientation); err != nil {
		return fmt.Errorf("camera.orientation: %w", err)
	}
	if c.Camera.Units != "" {
		if _, err := radiometry.ScaleOf(c.Camera.Units); err != nil {
			return fmt.Errorf("camera.units: %w", err)
		}
	}
	if c.Camera.KelvinPerCount != 0 {
		if err := c.Camera.Linear.Validate(); err != nil {
			return fmt.Errorf("camera.%w", err)
		}
		if c.Camera.Units != "" {
			return errors.New("camera.units and camera.kelvin_per_count both say what a count means; leave one out")
		}
	}
	if c.Camera.Planck.R1 != 0 {
		if err := c.Camera.Planck.Validate(); err != nil {
			return fmt.Errorf("camera.planck.%w", err)
		}
	}
	switch {
	case c.OutcomeOnly && c.MQTT.Snapshots:
		return errors.New("mqtt.snapshots publishes pictures of people; with outcome_only it has to be false")
	case c.OutcomeOnly && c.Clips.AroundAlerts:
		return errors.New("clips.around_alerts keeps pictures of people; with outcome_only it has to be false")
	}
	switch {
	case c.Door.Rule == door.OnPassAndCode && c.Badge.SiteKeyFile == "":
		return fmt.Errorf("door.rule is %s, and no pass code can be valid without badge.site_key_file", c.Door.Rule)
	case c.Badge.Page && c.HTTP.PasswordFile == "" && !c.HTTP.Local():
		return errors.New("badge.page takes what linked screens read; without http.password_file there are none")
	}
	if c.ConsoleURL != "" {
		if _, err := consolePages(c.ConsoleURL); err != nil {
			return err
		}
	}
	if c.Camera.Stall < 100*time.Millisecond {
		return fmt.Errorf("camera.stall is %s; it must be 100ms or more", c.Camera.Stall)
	}
	for _, section := range []struct {
		name     string
		validate func() error
	}{
		{"measure", c.Measure.Validate},
		{"policy", c.Policy.Validate},
		{"visit", c.Visit.Validate},
		{"track", c.Track.Validate},
		{"clips", c.Clips.Validate},
		{"journal", c.Journal.Validate},
		{"broker", c.Broker.Validate},
		{"mqtt", c.mqtt().Validate},
		{"badge", func() error { return c.Badge.Validate(c.othersReadBadges()) }},
		{"door", c.Door.Validate},
		{"kiosk", c.Kiosk.Validate},
		{"http", c.HTTP.Validate},
	} {
		if err := section.validate(); err != nil {
			return fmt.Errorf("%s.%w", section.name, err)
		}
	}
	return nil
}

// othersReadBadges says whether readers are switched on outside of the section badge.
func (c config) othersReadBadges() bool {
	return c.Camera.Visible != "" || slices.Contains(c.MQTT.Commands, mqtt.Badge)
}

var plainName = regexp.MustCompile(`^[\pL\pN_-]+$`)

// options are what the config says of the camera, less what a flag says otherwise.
func (c cameraConfig) options(flags camera.Options) camera.Options {
	options := flags
	if options.Orientation == "" {
		options.Orientation = camera.Orientation(c.Orientation)
	}
	if options.FPS == 0 {
		options.FPS = c.FPS
	}
	if options.Units == "" && options.Linear.KelvinPerCount == 0 {
		options.Units, options.Linear, options.Planck = c.Units, c.Linear, c.Planck
	}
	return options
}

// live is how patient the gate is with its camera.
func (c cameraConfig) live(onState func(camera.Status)) camera.LiveConfig {
	live := camera.DefaultLiveConfig()
	live.StallAfter, live.OnState = c.Stall, onState
	return live
}

// identity tells this gate from others, and whether it has another config than the one it was started with.
func (c config) identity() metrics.Identity {
	return metrics.Identity{Site: c.Site, Gate: c.Gate, Config: settings.Hash(c)}
}

// told is what others may know of the config, and when its file was changed last; a zero time where there is none. It has no
// password, no path and no address that could have one in it.
func (c config) told() mqtt.Settings {
	values := settings.Values(struct {
		Camera  cameraConfig     `yaml:"camera"`
		Measure measure.Config   `yaml:"measure"`
		Policy  policy.Config    `yaml:"policy"`
		Track   track.Config     `yaml:"track"`
		Visit   gate.VisitConfig `yaml:"visit"`
		Clips   clip.Config      `yaml:"clips"`
		Door    door.Config      `yaml:"door"`
	}{c.Camera, c.Measure, c.Policy, c.Track, c.Visit, c.Clips, c.Door})
	maps.DeleteFunc(values, func(key, _ string) bool {
		return strings.HasSuffix(key, "_file") || strings.HasSuffix(key, ".url") || strings.HasSuffix(key, ".address")
	})
	values["camera.uri"] = fmt.Sprintf("%.100s", camera.Masked(c.Camera.URI))
	values["camera.visible"] = fmt.Sprintf("%.100s", camera.Masked(c.Camera.Visible))
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(sum, "%s: %q\n", key, values[key])
	}
	return mqtt.Settings{Hash: hex.EncodeToString(sum.Sum(nil)[:8]), Written: c.written.UTC().Truncate(time.Second), Values: values}
}

// lacks is what the config does not say that only somebody at the gate can know.
func (c config) lacks() event.Lacks {
	return event.Lacks{Camera: c.Camera.URI == "", Reference: c.Measure.ReferenceCelsius == nil && c.Policy.Kind != policy.Group}
}

// joined tells whether the password for the broker is one that thermogate join has written.
func (c config) joined() bool {
	dataDir, err := filepath.Abs(c.DataDir)
	return err == nil && filepath.Dir(c.MQTT.PasswordFile) == filepath.Join(dataDir, joinedFolder)
}

// journal is how long events are kept, and what of them.
func (c config) journal() journal.Config {
	kept := c.Journal
	kept.OutcomeOnly = c.OutcomeOnly
	return kept
}

// leaves is what leaves the gate of an event, and what it keeps of it.
func (c config) leaves(e event.Event) event.Event {
	if c.OutcomeOnly {
		e.Data = e.Data.WithOutcomeOnly()
	}
	return e
}

func (c config) gate() gate.Config {
	return gate.Config{
		Site:    c.Site,
		Name:    c.Gate,
		Version: program.Version(),
		Camera:  c.Camera.Name,
		Moving:  c.Camera.Moving,
		Track:   c.Track,
		Measure: c.Measure,
		Policy:  c.Policy,
		Visit:   c.Visit,
	}
}

// detector looks for faces as small as the gate screens.
func (c config) detector() (*face.Detector, error) {
	d, err := face.New()
	if err != nil {
		return nil, err
	}
	d.LeastFace = c.Visit.Near
	return d, nil
}

// ownBroker names no broker, which is the gate's own.
func ownBroker(c mqtt.Config) mqtt.Config {
	c.Broker = ""
	return c
}

// mqtt is how to reach the broker that the config names, or what the gate's own is called.
func (c config) mqtt() mqtt.Config {
	m := c.MQTT
	m.OutcomeOnly = c.OutcomeOnly
	if m.Broker == "" {
		m.Broker = "mqtt://" + listen.Reachable(c.Broker.Listen)
	}
	return m
}
