package simulator

import (
	_ "embed"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"thermogate/camera/bounded"
)

// Scenario is what happens in front of the simulated gate. Its zero value is of no use: start from DefaultScenario,
// Demo, Parse or Load. The keys are those of the scenario file; example.yaml explains each.
type Scenario struct {
	// Name is the file the scenario was read from.
	Name string `yaml:"-"`

	Seed           uint64        `yaml:"seed"`
	Duration       time.Duration `yaml:"duration"` // 0: until the last has left; endless with an endless Queue or nobody at all
	Repeat         bool          `yaml:"repeat"`   // begin again with People instead of ending
	AmbientCelsius float64       `yaml:"ambient_celsius"`
	Camera         Camera        `yaml:"camera"`
	FFC            FFC           `yaml:"ffc"`
	Reference      Reference     `yaml:"reference"`
	Lamp           *Lamp         `yaml:"lamp"`
	People         []Visit       `yaml:"people"`
	Queue          *Queue        `yaml:"queue"`
}

// Camera is the simulated sensor and where it hangs.
type Camera struct {
	Width                 int           `yaml:"width"`
	Height                int           `yaml:"height"`
	FPS                   float64       `yaml:"fps"`
	FieldOfViewDegrees    float64       `yaml:"field_of_view_degrees"` // along the longer side of the picture
	HeightMetres          float64       `yaml:"height_metres"`         // above the floor, looking straight ahead
	BlurPixels            float64       `yaml:"blur_pixels"`           // standard deviation of the lens's point spread
	NETDMillikelvin       float64       `yaml:"netd_millikelvin"`
	PatternMillikelvin    float64       `yaml:"pattern_millikelvin"` // fixed from pixel to pixel, new after every FFC
	ColumnMillikelvin     float64       `yaml:"column_millikelvin"`  // the same from column to column
	VignettingCelsius     float64       `yaml:"vignetting_celsius"`  // how much too warm the corners read
	OffsetCelsius         float64       `yaml:"offset_celsius"`
	DriftCelsiusPerMinute float64       `yaml:"drift_celsius_per_minute"`
	SelfHeatingCelsius    float64       `yaml:"self_heating_celsius"` // how much too cold it reads when just switched on
	SelfHeating           time.Duration `yaml:"self_heating"`         // time constant of that
	Frozen                *Freeze       `yaml:"frozen"`
	SwayDegrees           float64       `yaml:"sway_degrees"` // how far the carrier sways to each side, half as far up and down
	SwayPeriod            time.Duration `yaml:"sway_period"`
	Pans                  []Pan         `yaml:"pans"`
	Steps                 []Step        `yaml:"steps"`
}

// OnCarrier is true for a camera that does not stand still.
func (c *Camera) OnCarrier() bool { return c.SwayDegrees > 0 || len(c.Pans) > 0 }

// Pan is a turn of the camera with its carrier and the reference.
type Pan struct {
	At      time.Duration `yaml:"at"`
	Over    time.Duration `yaml:"over"`
	Degrees float64       `yaml:"degrees"` // to the right of where it looked at the beginning
}

// Step is another range or gain of the camera from a time on.
type Step struct {
	At            time.Duration `yaml:"at"`
	Gain          float64       `yaml:"gain"`           // counts are those of the usual range times this
	OffsetCelsius float64       `yaml:"offset_celsius"` // how much warmer it reads, on top
}

// Freeze is a camera that goes on sending the same picture, whoever comes and goes.
type Freeze struct {
	At               time.Duration `yaml:"at"`
	For              time.Duration `yaml:"for"`
	NoiseMillikelvin float64       `yaml:"noise_millikelvin"` // fresh on each copy
}

// FFC is the flat-field correction: a shutter closes, the picture stands still, then jumps.
type FFC struct {
	Every        time.Duration `yaml:"every"`         // 0: never by time
	DriftCelsius float64       `yaml:"drift_celsius"` // also when the picture drifted this far since the last one; 0: never
	Freeze       time.Duration `yaml:"freeze"`
	JumpCelsius  float64       `yaml:"jump_celsius"` // up and down in turn
}

// Reference is the blackbody in view: a hot disc on a small box.
type Reference struct {
	Present           bool          `yaml:"present"`
	Celsius           float64       `yaml:"celsius"`       // what its maker and the gate's configuration say
	ErrorCelsius      float64       `yaml:"error_celsius"` // how much warmer it truly is
	WarmUp            time.Duration `yaml:"warm_up"`       // time constant from ambient; 0: warm from the start
	X                 float64       `yaml:"x"`             // centre, 0 left to 1 right
	Y                 float64       `yaml:"y"`             // centre, 0 top to 1 bottom
	RadiusMillimetres float64       `yaml:"radius_millimetres"`
	DistanceMetres    float64       `yaml:"distance_metres"`

	DriftCelsiusPerMinute float64  `yaml:"drift_celsius_per_minute"` // how fast it gets warmer than Celsius, from the start
	Covered               *Cover   `yaml:"covered"`
	Moved                 *Removal `yaml:"moved"`
}

// Cover is something at ambient temperature that hangs over the reference for a while.
type Cover struct {
	At  time.Duration `yaml:"at"`
	For time.Duration `yaml:"for"`
}

// Removal is the reference set down at another place.
type Removal struct {
	At time.Duration `yaml:"at"`
	X  float64       `yaml:"x"`
	Y  float64       `yaml:"y"`
}

// Lamp is a warm lamp on the wall behind the people.
type Lamp struct {
	Celsius float64 `yaml:"celsius"`
	X       float64 `yaml:"x"`
	Y       float64 `yaml:"y"`
}

// Visit is one person who comes into view, stands before the camera and leaves, or only walks past.
type Visit struct {
	At             time.Duration `yaml:"at"`
	CoreCelsius    *float64      `yaml:"core_celsius"` // nil: drawn, see Queue
	SkinCelsius    *float64      `yaml:"skin_celsius"` // inner canthus; nil: core less the person's own difference
	DistanceMetres float64       `yaml:"distance_metres"`
	SideMetres     float64       `yaml:"side_metres"` // to the right in the picture
	HeightMetres   *float64      `yaml:"height_metres"`
	Stand          time.Duration `yaml:"stand"`
	YawDegrees     float64       `yaml:"yaw_degrees"` // turned to the right of the picture
	WalksPast      bool          `yaml:"walks_past"`
	Glasses        bool          `yaml:"glasses"`
	Mask           bool          `yaml:"mask"`
	Hat            bool          `yaml:"hat"`
	Beard          bool          `yaml:"beard"`
	Hair           string        `yaml:"hair"` // bald, short, fringe or long; empty: drawn
	ChillCelsius   float64       `yaml:"chill_celsius"`
	CupCelsius     *float64      `yaml:"cup_celsius"`
	Seed           *uint64       `yaml:"seed"` // looks; nil: from the scenario's seed

	// How this person comes after the one before in the list. At is then not used, and the place is that of the one
	// before.
	Follows      string        `yaml:"follows"`       // same-side, other-side, behind or at-once; empty: comes by themselves
	Gap          time.Duration `yaml:"gap"`           // from when the one before leaves to when this one comes
	BehindMetres float64       `yaml:"behind_metres"` // behind: how far back they wait
	Returns      bool          `yaml:"returns"`       // is the one before, who comes back

	Appears    bool     `yaml:"appears"`     // there at once and gone at once, instead of walking
	Sway       *float64 `yaml:"sway"`        // how much they move while they stand: 1 (nil) is usual, 0 a dummy
	HairWarmth *float64 `yaml:"hair_warmth"` // share of the skin's warmth that comes through hair; nil: drawn
	Breathing  bool     `yaml:"breathing"`   // the mask grows warm and cool with each breath
	Moves      []Move   `yaml:"moves"`
}

// How somebody comes after another.
const (
	fromSameSide  = "same-side"  // walks in from where the one before walks out to
	fromOtherSide = "other-side" // walks in from the other side
	fromBehind    = "behind"     // stands behind the one before and steps up
	atOnce        = "at-once"    // is there where the one before was
)

// Move is something a person does while they stand. What is nil stays as it was.
type Move struct {
	After          time.Duration `yaml:"after"` // from when they have stepped up
	Over           time.Duration `yaml:"over"`  // how long it takes
	DistanceMetres *float64      `yaml:"distance_metres"`
	SideMetres     *float64      `yaml:"side_metres"`
	YawDegrees     *float64      `yaml:"yaw_degrees"`
}

// Queue is a line of different people, drawn from the seed.
type Queue struct {
	People            int           `yaml:"people"` // how many come; 0: endless
	Pause             time.Duration `yaml:"pause"`  // from one person's leaving to the next one's coming
	Stand             time.Duration `yaml:"stand"`  // typical
	DistanceMetres    float64       `yaml:"distance_metres"`
	CoreCelsius       float64       `yaml:"core_celsius"`
	CoreSpreadCelsius float64       `yaml:"core_spread_celsius"`
	FebrileCelsius    float64       `yaml:"febrile_celsius"`
	FebrileShare      float64       `yaml:"febrile_share"`
	GlassesShare      float64       `yaml:"glasses_share"`
	MaskShare         float64       `yaml:"mask_share"`
	HatShare          float64       `yaml:"hat_share"`
	BeardShare        float64       `yaml:"beard_share"`
	PairShare         float64       `yaml:"pair_share"`
	PasserShare       float64       `yaml:"passer_share"`
	ChillShare        float64       `yaml:"chill_share"`
	ChillCelsius      float64       `yaml:"chill_celsius"`
	TurnedShare       float64       `yaml:"turned_share"` // stand turned away by 40°
	FarShare          float64       `yaml:"far_share"`    // stand 1 m further off
	BehindShare       float64       `yaml:"behind_share"` // wait behind the one before, hidden
	ReturnShare       float64       `yaml:"return_share"` // come back some seconds after they left
}

// Endless is true where the scenario goes on until nobody reads it any more.
func (s *Scenario) Endless() bool {
	return s.Repeat || s.Duration == 0 && len(s.People) == 0 && (s.Queue == nil || s.Queue.People == 0)
}

// DefaultScenario is an empty scene before an upright Lepton 3.5 class camera (160×120 on its side, 57°).
func DefaultScenario() Scenario {
	return Scenario{
		Seed:           1,
		AmbientCelsius: 24,
		Camera: Camera{
			Width: 120, Height: 160, FPS: 8.77, FieldOfViewDegrees: 57, HeightMetres: 1.5, BlurPixels: 0.9,
			NETDMillikelvin: 50, PatternMillikelvin: 40, ColumnMillikelvin: 20, VignettingCelsius: 0.2,
			OffsetCelsius: -2, DriftCelsiusPerMinute: 0.5, SelfHeating: 3 * time.Minute, SwayPeriod: 1500 * time.Millisecond,
		},
		FFC: FFC{Every: 3 * time.Minute, Freeze: 500 * time.Millisecond, JumpCelsius: 1},
		Reference: Reference{
			Present: true, Celsius: 37, X: 0.78, Y: 0.83, RadiusMillimetres: 25, DistanceMetres: 0.6,
		},
	}
}

func defaultVisit() Visit {
	return Visit{DistanceMetres: 0.8, Stand: 3 * time.Second, BehindMetres: 0.4}
}

func defaultQueue() Queue {
	return Queue{
		Pause: 500 * time.Millisecond, Stand: 3 * time.Second, DistanceMetres: 0.8,
		CoreCelsius: 36.7, CoreSpreadCelsius: 0.2, FebrileCelsius: 38.5,
	}
}

//go:embed demo.yaml
var demo []byte

// Demo is the scenario of "thermogate demo": an endless, varied queue of workers.
func Demo() Scenario {
	s, err := Parse("demo.yaml", demo)
	if err != nil {
		panic(err) // embedded and covered by a test
	}
	return s
}

const maxScenarioBytes = 256 << 10

// Load reads a scenario file.
func Load(path string) (Scenario, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Scenario{}, fmt.Errorf("reading scenario: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Scenario{}, fmt.Errorf("reading scenario: %s is not a file", path)
	}
	data, err := bounded.ReadFile(path, maxScenarioBytes)
	if err != nil {
		return Scenario{}, fmt.Errorf("reading scenario: %w", err)
	}
	return Parse(path, data)
}

// limit is the range a number of the scenario may take.
type limit struct {
	key       string
	value     float64
	low, high float64
	unit      string
}

func (s *Scenario) limits() []limit {
	c, f, r := &s.Camera, &s.FFC, &s.Reference
	all := []limit{
		{"duration", s.Duration.Seconds(), 0, math.MaxInt32, "s"},
		{"ambient_celsius", s.AmbientCelsius, -20, 45, "°C"},
		{"camera.width", float64(c.Width), 40, 1280, "pixels"},
		{"camera.height", float64(c.Height), 40, 1280, "pixels"},
		{"camera.fps", c.FPS, 1, 120, "frames a second"},
		{"camera.field_of_view_degrees", c.FieldOfViewDegrees, 10, 120, "°"},
		{"camera.height_metres", c.HeightMetres, 0.5, 3, "m"},
		{"camera.blur_pixels", c.BlurPixels, 0, 5, "pixels"},
		{"camera.netd_millikelvin", c.NETDMillikelvin, 0, 1000, "mK"},
		{"camera.pattern_millikelvin", c.PatternMillikelvin, 0, 1000, "mK"},
		{"camera.column_millikelvin", c.ColumnMillikelvin, 0, 1000, "mK"},
		{"camera.vignetting_celsius", c.VignettingCelsius, 0, 2, "°C"},
		{"camera.offset_celsius", c.OffsetCelsius, -10, 10, "°C"},
		{"camera.drift_celsius_per_minute", c.DriftCelsiusPerMinute, 0, 10, "°C a minute"},
		{"camera.self_heating_celsius", c.SelfHeatingCelsius, 0, 10, "°C"},
		{"camera.self_heating", c.SelfHeating.Seconds(), 1, 3600, "s"},
		{"camera.sway_degrees", c.SwayDegrees, 0, 5, "°"},
		{"camera.sway_period", c.SwayPeriod.Seconds(), 0.1, 60, "s"},
		{"ffc.every", f.Every.Seconds(), 0, math.MaxInt32, "s"},
		{"ffc.drift_celsius", f.DriftCelsius, 0, 10, "°C"},
		{"ffc.freeze", f.Freeze.Seconds(), 0, 10, "s"},
		{"ffc.jump_celsius", f.JumpCelsius, 0, 5, "°C"},
		{"reference.celsius", r.Celsius, 25, 60, "°C"},
		{"reference.error_celsius", r.ErrorCelsius, -2, 2, "°C"},
		{"reference.warm_up", r.WarmUp.Seconds(), 0, 3600, "s"},
		{"reference.x", r.X, 0, 1, "of the width"},
		{"reference.y", r.Y, 0, 1, "of the height"},
		{"reference.radius_millimetres", r.RadiusMillimetres, 5, 100, "mm"},
		{"reference.distance_metres", r.DistanceMetres, 0.2, 3, "m"},
		{"reference.drift_celsius_per_minute", r.DriftCelsiusPerMinute, -5, 5, "°C a minute"},
	}
	for i, p := range c.Pans {
		at := fmt.Sprintf("camera.pans[%d].", i)
		all = append(all,
			limit{at + "at", p.At.Seconds(), 0, math.MaxInt32, "s"},
			limit{at + "over", p.Over.Seconds(), 0.1, 600, "s"},
			limit{at + "degrees", p.Degrees, -90, 90, "°"})
	}
	for i, p := range c.Steps {
		at := fmt.Sprintf("camera.steps[%d].", i)
		all = append(all,
			limit{at + "at", p.At.Seconds(), 0, math.MaxInt32, "s"},
			limit{at + "gain", p.Gain, 0.05, 2, "times"},
			limit{at + "offset_celsius", p.OffsetCelsius, -50, 50, "°C"})
	}
	if f := c.Frozen; f != nil {
		all = append(all,
			limit{"camera.frozen.at", f.At.Seconds(), 0, math.MaxInt32, "s"},
			limit{"camera.frozen.for", f.For.Seconds(), 0, math.MaxInt32, "s"},
			limit{"camera.frozen.noise_millikelvin", f.NoiseMillikelvin, 0, 1000, "mK"})
	}
	if c := r.Covered; c != nil {
		all = append(all,
			limit{"reference.covered.at", c.At.Seconds(), 0, math.MaxInt32, "s"},
			limit{"reference.covered.for", c.For.Seconds(), 0, math.MaxInt32, "s"})
	}
	if m := r.Moved; m != nil {
		all = append(all,
			limit{"reference.moved.at", m.At.Seconds(), 0, math.MaxInt32, "s"},
			limit{"reference.moved.x", m.X, 0, 1, "of the width"},
			limit{"reference.moved.y", m.Y, 0, 1, "of the height"})
	}
	if l := s.Lamp; l != nil {
		all = append(all,
			limit{"lamp.celsius", l.Celsius, 20, 200, "°C"},
			limit{"lamp.x", l.X, 0, 1, "of the width"},
			limit{"lamp.y", l.Y, 0, 1, "of the height"})
	}
	for i := range s.People {
		all = append(all, s.People[i].limits(fmt.Sprintf("people[%d].", i))...)
	}
	if q := s.Queue; q != nil {
		all = append(all, q.limits()...)
	}
	return all
}

func (v *Visit) limits(prefix string) []limit {
	all := []limit{
		{prefix + "at", v.At.Seconds(), 0, math.MaxInt32, "s"},
		{prefix + "distance_metres", v.DistanceMetres, 0.3, 4, "m"},
		{prefix + "side_metres", v.SideMetres, -2, 2, "m"},
		{prefix + "stand", v.Stand.Seconds(), 0, 86400, "s"},
		{prefix + "yaw_degrees", v.YawDegrees, -90, 90, "°"},
		{prefix + "chill_celsius", v.ChillCelsius, 0, 6, "°C"},
		{prefix + "gap", v.Gap.Seconds(), -10, 86400, "s"},
		{prefix + "behind_metres", v.BehindMetres, 0, 1, "m"},
	}
	optional := func(key string, value *float64, low, high float64, unit string) {
		if value != nil {
			all = append(all, limit{prefix + key, *value, low, high, unit})
		}
	}
	optional("core_celsius", v.CoreCelsius, 30, 44, "°C")
	optional("skin_celsius", v.SkinCelsius, 20, 44, "°C")
	optional("height_metres", v.HeightMetres, 1, 2.2, "m")
	optional("cup_celsius", v.CupCelsius, 0, 100, "°C")
	optional("sway", v.Sway, 0, 10, "times the usual")
	optional("hair_warmth", v.HairWarmth, 0, 1, "")
	for i, m := range v.Moves {
		at := fmt.Sprintf("moves[%d].", i)
		all = append(all,
			limit{prefix + at + "after", m.After.Seconds(), 0, v.Stand.Seconds(), "s, while the person stands"},
			limit{prefix + at + "over", m.Over.Seconds(), 0, 60, "s"})
		optional(at+"distance_metres", m.DistanceMetres, 0.3, 4, "m")
		optional(at+"side_metres", m.SideMetres, -2, 2, "m")
		optional(at+"yaw_degrees", m.YawDegrees, -180, 180, "°")
	}
	return all
}

func (q *Queue) limits() []limit {
	return []limit{
		{"queue.pause", q.Pause.Seconds(), 0, 86400, "s"},
		{"queue.stand", q.Stand.Seconds(), 0.5, 3600, "s"},
		{"queue.distance_metres", q.DistanceMetres, 0.3, 4, "m"},
		{"queue.core_celsius", q.CoreCelsius, 30, 44, "°C"},
		{"queue.core_spread_celsius", q.CoreSpreadCelsius, 0, 1, "°C"},
		{"queue.febrile_celsius", q.FebrileCelsius, 30, 44, "°C"},
		{"queue.febrile_share", q.FebrileShare, 0, 1, ""},
		{"queue.glasses_share", q.GlassesShare, 0, 1, ""},
		{"queue.mask_share", q.MaskShare, 0, 1, ""},
		{"queue.hat_share", q.HatShare, 0, 1, ""},
		{"queue.beard_share", q.BeardShare, 0, 1, ""},
		{"queue.pair_share", q.PairShare, 0, 1, ""},
		{"queue.passer_share", q.PasserShare, 0, 1, ""},
		{"queue.chill_share", q.ChillShare, 0, 1, ""},
		{"queue.chill_celsius", q.ChillCelsius, 0, 6, "°C"},
		{"queue.people", float64(q.People), 0, 100_000, ""},
		{"queue.turned_share", q.TurnedShare, 0, 1, ""},
		{"queue.far_share", q.FarShare, 0, 1, ""},
		{"queue.behind_share", q.BehindShare, 0, 1, ""},
		{"queue.return_share", q.ReturnShare, 0, 1, ""},
	}
}

// problem is a value that can't be, and the key it stands under.
type problem struct{ key, message string }

// check returns the first impossible value.
func (s *Scenario) check() *problem {
	for _, l := range s.limits() {
		if l.value >= l.low && l.value <= l.high { // false for NaN
			continue
		}
		want := fmt.Sprintf("%v to %v", l.low, l.high)
		if l.high == math.MaxInt32 {
			want = fmt.Sprintf("%v or more", l.low)
		}
		if l.unit != "" {
			want += " " + l.unit
		}
		return &problem{l.key, fmt.Sprintf("%v is impossible; it must be %s", l.value, want)}
	}
	for i, v := range s.People {
		prefix := fmt.Sprintf("people[%d].", i)
		switch {
		case v.CoreCelsius != nil && v.SkinCelsius != nil:
			return &problem{prefix + "skin_celsius", "core_celsius is set too; keep one of them"}
		case s.Duration > 0 && v.At >= s.Duration:
			return &problem{prefix + "at", fmt.Sprintf("%v is after the end of the scenario; duration is %v", v.At, s.Duration)}
		case v.Hair != "" && v.Hair != bald && v.Hair != short && v.Hair != fringe && v.Hair != long:
			return &problem{prefix + "hair", fmt.Sprintf("%q is not known; write bald, short, fringe or long", v.Hair)}
		}
		if p := v.check(); p != nil {
			return &problem{prefix + p.key, p.message}
		}
	}
	if len(s.People) > 0 && s.People[0].after() {
		return &problem{"people[0]", "there is nobody before; follows and returns are for the second and later people"}
	}
	for i, p := range s.Camera.Pans {
		if i > 0 && p.At < s.Camera.Pans[i-1].At+s.Camera.Pans[i-1].Over {
			return &problem{fmt.Sprintf("camera.pans[%d].at", i), fmt.Sprintf("%v is before the end of the pan above; put them in order", p.At)}
		}
	}
	switch {
	case s.Queue != nil && len(s.People) > 0:
		return &problem{"queue", "people is set too; keep one of them"}
	case s.Repeat && len(s.People) == 0:
		return &problem{"repeat", "there are no people to repeat; list some under people, or use queue"}
	}
	return nil
}

// after is true for somebody who comes after the one before in the list.
func (v *Visit) after() bool { return v.Follows != "" || v.Returns }

// check returns what of a visit does not go together, by its key.
func (v *Visit) check() *problem {
	usual := defaultVisit()
	switch {
	case !slices.Contains([]string{"", fromSameSide, fromOtherSide, fromBehind, atOnce}, v.Follows):
		return &problem{"follows", fmt.Sprintf("%q is not known; write %s, %s, %s or %s", v.Follows, fromSameSide, fromOtherSide, fromBehind, atOnce)}
	case v.Follows != "" && v.Returns:
		return &problem{"returns", "follows is set too; keep one of them"}
	case v.Follows != "" && (v.WalksPast || v.Appears):
		return &problem{"follows", "walks_past or appears is set too; keep one of them"}
	case v.after() && v.At != 0:
		return &problem{"at", "it is set by the one before; use gap"}
	case !v.after() && v.Gap != 0:
		return &problem{"gap", "there is nothing to wait for; set follows or returns too, or use at"}
	case v.Gap < 0 && v.Follows != fromSameSide && v.Follows != fromOtherSide:
		return &problem{"gap", fmt.Sprintf("%v is impossible; only people who follow from a side come before the other has left", v.Gap)}
	case v.Follows != "" && (v.DistanceMetres != usual.DistanceMetres || v.SideMetres != usual.SideMetres):
		return &problem{"distance_metres", "who follows stands where the one before stood; leave out distance_metres and side_metres"}
	case v.Appears && v.WalksPast:
		return &problem{"appears", "walks_past is set too; keep one of them"}
	case v.Breathing && !v.Mask:
		return &problem{"breathing", "it is about the mask; set mask: true too"}
	case len(v.Moves) > 0 && v.WalksPast:
		return &problem{"moves", "walks_past is set too; only who stands makes moves"}
	}
	for i := range v.Moves {
		if i > 0 && v.Moves[i].After < v.Moves[i-1].After {
			return &problem{fmt.Sprintf("moves[%d].after", i), fmt.Sprintf("%v is before the move above; put them in order", v.Moves[i].After)}
		}
	}
	return nil
}
