package policy

import "time"

// Config of a gate's policy. Temperatures of skin are those of the inner canthi unless a name says otherwise.
type Config struct {
	Kind Kind `yaml:"kind"`
	// Referenced says that the gate has a reference source. Without one only the group policy can be applied, and a look
	// needs none to be decided.
	Referenced bool `yaml:"-"`
	// ThresholdCelsius is the body temperature from which on the offset policy alarms.
	ThresholdCelsius float64 `yaml:"threshold_celsius"`
	// OffsetCelsius is oral minus inner canthus temperature as this camera sees it; the others are for looks in which
	// the canthi are hidden.
	OffsetCelsius         float64 `yaml:"offset_celsius"`
	ForeheadOffsetCelsius float64 `yaml:"forehead_offset_celsius"`
	FaceOffsetCelsius     float64 `yaml:"face_offset_celsius"`
	// MarginCelsius above the baseline is where the group policy alarms.
	MarginCelsius float64 `yaml:"margin_celsius"`
	// PriorCelsius is what the group is taken to be before anybody was seen. A gate without a reference has no use for it.
	PriorCelsius float64 `yaml:"prior_celsius"`
	// AmbientCelsius is that of the air at the gate, where nobody tells it of another; nil is unknown.
	AmbientCelsius *float64 `yaml:"ambient_celsius"`
	// Fused is what the fused policy has of its own.
	Fused FusedConfig `yaml:"fused"`
	// Memory is the time after which half of what the group reads today above or below its gate's level is forgotten.
	Memory time.Duration `yaml:"memory"`
	// A face this far below the group is a cold arrival, whatever its nose and cheeks say: of 544 people in four rounds the
	// furthest was 1.7 below, the next 1.2.
	ColdBelowGroupCelsius float64 `yaml:"cold_below_group_celsius"`
	// TimeLimit ends a look, counted from its first measurable frame. It leaves a frame and the publishing inside the
	// second.
	TimeLimit time.Duration `yaml:"time_limit"`
}

// DefaultConfig holds for adults at rest indoors at 20 to 24 °C. Offsets, margin and prior are from 544 people (Wang et
// al. 2023, PhysioNet, doi 10.13026/3bhc-9065), first round.
func DefaultConfig() Config {
	return Config{
		Kind:                  Both,
		Referenced:            true,
		ThresholdCelsius:      37.5,
		OffsetCelsius:         1.38,
		ForeheadOffsetCelsius: 1.74,
		FaceOffsetCelsius:     1.27,
		MarginCelsius:         0.58,
		PriorCelsius:          35.5,
		Fused:                 DefaultFusedConfig(),
		Memory:                8 * time.Hour,
		ColdBelowGroupCelsius: 1.8,
		TimeLimit:             900 * time.Millisecond,
	}
}

const (
	// earlySigma and finalSigma are the boundary of Haybittle (1971) and Peto (1976): with three standard errors asked
	// of every early look, the last one can be judged as if it were the only one.
	earlySigma = 3.0
	finalSigma = 1.96
	// minFrames keeps an odd frame or two, of somebody who passes by, from being a verdict.
	minFrames = 3
	// minSpan keeps a fast camera as careful as one of nine frames a second.
	minSpan = 200 * time.Millisecond
	// hiddenCold, °C, is by how much more below the group a face whose canthi are hidden may be: foreheads differ more.
	hiddenCold = 0.2
	// baselineSigma is how far, in its standard uncertainties, the baseline may be too high for somebody whose face says that
	// it is not the cold: a gate that has seen nobody does not know how cold its hall keeps people.
	baselineSigma = 2
	// restSigma is how sure a face has to be of that, in standard uncertainties.
	restSigma = 3
	// bareDoubt and maskedDoubt are how many standard uncertainties are added to the chill of a cooled face: under a mask breath
	// warms what tells of it.
	bareDoubt, maskedDoubt = 1.0, 1.96
	// chillSigma is how sure it has to be that a face is cooled, in standard uncertainties.
	chillSigma = 1.5
	// foreheadChill is how much of its temperature a forehead has lost for each degree that the canthi have; on simulated
	// faces, beyond what their present temperature says.
	foreheadChill = 1.4
	// bodySpread is how far oral minus canthus temperature differs from person to person (standard deviation of 544 people).
	bodySpread = 0.36
	// frameNoise is the least noise a frame is believed to have: the NETD of a Lepton, 50 mK.
	frameNoise = 0.05
	// sharedSystematic is the systematic standard uncertainty that thresholds are found with: the laboratory accuracy of
	// ±0.5 °C which IEC 80601-2-59 allows a screening thermograph, taken as a rectangular distribution.
	sharedSystematic = 0.3
	// siteSpread is how far forehead minus canthi differs from person to person (544 people, standard deviation). It is
	// part of what a forehead reading is uncertain by, and of the sensitivity and specificity of the forehead's offset.
	siteSpread = 0.38
)
