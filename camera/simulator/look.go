package simulator

import (
	"math"
	"math/rand/v2"
)

// Hair styles.
const (
	bald   = "bald"
	short  = "short"
	fringe = "fringe"
	long   = "long"
)

// Measures of a head in metres, from the point between the eyes: x to the right, y down, z to the front, the origin
// on the line between the ears. Proportions after hand-labelled faces of gate recordings (eyes 0.38, nose tip 0.61,
// mouth 0.76 of the way from hairline to chin) and anthropometric tables (DIN 33402).
const (
	hairlineShare = 0.38 // of the face's height above the eyes
	noseShare     = 0.25 // nose tip below the eyes
	mouthShare    = 0.38
	crownShare    = 0.23 // crown above the hairline
	eyeX          = 0.0315
	canthusX      = 0.0165
	canthusY      = 0.002
	mouthX        = 0.024
	earOut        = 0.008 // how far an ear stands out
	noseOut       = 0.022
)

// look is a person's appearance: proportions, dress and the spread of temperature over skin, hair and clothes. All
// temperatures are shares or differences; paint turns them into °C.
type look struct {
	faceWidth, faceHeight float64 // ear to ear, hairline to chin
	jaw                   float64 // 2 pointed to 3.4 square
	build                 float64 // width of the body, 1 is usual
	hair                  string
	hairThick             float64
	hairCover             float64 // share of skin temperature that comes through hair
	beard                 float64 // 0 none to 1 full
	glasses, mask, hat    bool
	cap                   bool // a hat with a brim, else a beanie
	clothes               [2]float64
	collar, neckline      float64 // where clothes begin below the chin and how deep they open, in metres
	jacket                bool    // open over a shirt
	sleeveless            bool
	// Skin below the inner canthus, °C at an ambient of 23 °C; means and spreads after the clinical data named above
	// (forehead centre 1.34 ± 0.59, mouth 0.45 ± 0.56) and, for nose, cheeks and ears, the gate recordings.
	forehead, nose, cheek, mouth, ear, socket, neck float64
	texture                                         uint64 // seed of vessels and mottling

	breathing bool    // the mask follows the breath
	breath    float64 // breaths a second
	exhaled   float64 // how much of the breath is out now, 0 to 1

	head   texture // over longitude and height
	warm   texture // the head when all breath is out; for breathing only
	torso  texture
	shells [256]struct{ a, b float64 } // section with what is worn, from the texture's top to its bottom
	skin   float64                     // °C at the canthi, set by paint
	air    float64
}

func drawLook(r *rand.Rand, v *Visit) *look {
	l := &look{
		faceWidth: 0.15 + 0.005*normal(r),
		jaw:       2.5 + 0.3*normal(r),
		build:     1 + 0.06*normal(r),
		hairCover: 0.42 + 0.08*normal(r),
		forehead:  min(max(1.5+0.5*normal(r), 0.6), 2.7),
		nose:      min(max(2.8+0.8*normal(r), 0.9), 4.5),
		cheek:     min(max(2.1+0.55*normal(r), 1), 3.6),
		mouth:     min(max(1.4+0.5*normal(r), 0.1), 2.6),
		ear:       min(max(2.5+0.8*normal(r), 1), 4.5),
		socket:    min(max(0.5+0.2*normal(r), 0.2), 1),
		neck:      min(max(1.2+0.4*normal(r), 0.3), 2.2),
		neckline:  max(0, 0.05+0.05*normal(r)),
		clothes:   [2]float64{max(0.12, 0.42+0.13*normal(r)), max(0.06, 0.24+0.09*normal(r))},
		collar:    0.005 + 0.02*normal(r),
		jacket:    r.Float64() < 0.4,
		cap:       r.Float64() < 0.6,
		texture:   r.Uint64(),
		glasses:   v.Glasses, mask: v.Mask, hat: v.Hat,
	}
	l.faceHeight = l.faceWidth * (1.37 + 0.05*normal(r))
	l.hair = v.Hair
	if style := r.Float64(); l.hair == "" {
		switch {
		case style < 0.12:
			l.hair = bald
		case style < 0.72 || v.Beard:
			l.hair = short
		case style < 0.84:
			l.hair = fringe
		default:
			l.hair = long
		}
	}
	l.hairThick = map[string]float64{bald: 0.001, short: 0.012, fringe: 0.018, long: 0.018}[l.hair] * (1 + 0.25*normal(r))
	l.sleeveless = !l.jacket && r.Float64() < 0.35
	if stubble := r.Float64(); v.Beard {
		l.beard = 0.6 + 0.4*stubble
	}
	if v.HairWarmth != nil {
		l.hairCover = *v.HairWarmth
	}
	l.breathing = v.Breathing
	l.breath = 0.25 + 0.05*float64(l.texture%1000)/1000 // 15 to 18 a minute
	l.nose = max(l.nose, l.forehead+1)                  // it stands out, and is seen against the face in nearly every recording
	// Cold air takes most from what sticks out.
	l.nose += 3 * v.ChillCelsius
	l.cheek += 2 * v.ChillCelsius
	l.ear += 3 * v.ChillCelsius
	l.mouth += v.ChillCelsius
	l.forehead += 1.5 * v.ChillCelsius
	return l
}

func (l *look) hairline() float64 { return -hairlineShare * l.faceHeight }
func (l *look) chin() float64     { return (1 - hairlineShare) * l.faceHeight }
func (l *look) crown() float64    { return l.hairline() - crownShare*l.faceHeight }
func (l *look) noseTip() float64  { return noseShare * l.faceHeight }
func (l *look) lips() float64     { return mouthShare * l.faceHeight }

// section is the level cut through the head at height y: half its width and half its depth, with something that thick
// (hair, hat) worn above the ears.
func (l *look) section(y, thick float64) (a, b float64) {
	const level = -0.005 // where the head is widest
	widest, deepest := l.faceWidth/2-earOut, 0.098
	if y < level {
		crown := l.crown() - thick
		k := math.Sqrt(max(0, 1-math.Pow((level-y)/(level-crown), 2.3)))
		return (widest + thick) * k, (deepest + thick) * k
	}
	k := min((y-level)/(l.chin()-level), 1)
	power := math.Pow(k, l.jaw)
	thick *= 1 - smooth(y/0.03)
	return widest*math.Sqrt(1-power) + thick, deepest*math.Sqrt(1-0.75*power*k) + thick
}

// shell is the section with what is worn, from a table.
func (l *look) shell(y float64) (a, b float64) {
	k := (y - l.headTop()) / (l.headBottom() - l.headTop()) * float64(len(l.shells)-1)
	if k < 0 {
		return 0, 0
	}
	i := min(int(k), len(l.shells)-2)
	k = min(k-float64(i), 1)
	p, q := &l.shells[i], &l.shells[i+1]
	return mix(p.a, q.a, k), mix(p.b, q.b, k)
}

// worn is the thickness of hair or hat.
func (l *look) worn() float64 {
	if l.hat {
		return max(l.hairThick, 0.012)
	}
	return l.hairThick
}

// surface is the point of the face at (x, y) as seen from the front.
func (l *look) surface(x, y float64) point3 {
	a, b := l.section(y, 0)
	q := min(max(x/max(a, 1e-6), -1), 1)
	return point3{x, y, b * math.Sqrt(1-q*q)}
}

type point3 struct{ x, y, z float64 }

// breathe settles how warm the mask is at a time: it warms within the breath out, faster than it cools.
func (l *look) breathe(t float64) {
	if l.breathing {
		l.exhaled = smooth(0.5 + 0.6*math.Sin(2*math.Pi*l.breath*t+float64(l.texture%7)))
	}
}
