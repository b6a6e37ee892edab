package simulator

import "math"

// texture is a small picture in °C that is looked up with interpolation.
type texture struct {
	cols, rows int
	values     []float64
}

func (t *texture) size(cols, rows int) {
	t.cols, t.rows = cols, rows
	if len(t.values) != cols*rows {
		t.values = make([]float64, cols*rows)
	}
}

// at is the value at column u and row v, both in texels, clamped to the picture.
func (t *texture) at(u, v float64) float64 {
	u = min(max(u-0.5, 0), float64(t.cols-1)-1e-9)
	v = min(max(v-0.5, 0), float64(t.rows-1)-1e-9)
	i, j := int(u), int(v)
	fu, fv := u-float64(i), v-float64(j)
	p := t.values[j*t.cols+i:]
	q := t.values[(j+1)*t.cols+i:]
	return mix(mix(p[0], p[1], fu), mix(q[0], q[1], fu), fv)
}

// The head's texture spans all longitudes and the height from above the crown to below the chin.
const (
	headCols, headRows   = 192, 128
	torsoCols, torsoRows = 96, 208
	torsoHalf            = 0.36 // metres covered to each side
	torsoTop             = -0.09
	torsoBottom          = 1.5 // below the chin
)

func (l *look) headTop() float64    { return l.crown() - 0.04 }
func (l *look) headBottom() float64 { return l.chin() + 0.005 }

// gain is how strongly skin temperatures differ over the face: a warm room levels them. It does not depend on the
// person's temperature, so a fever moves the whole face and the slope against truth is 1.
func (l *look) gain() float64 { return math.Sqrt(min(max((34.5-l.air)/11.5, 0.2), 4)) }

// through is the temperature of what lies over the skin and lets this share of its warmth through.
func (l *look) through(share, skin float64) float64 { return l.air + share*(skin-l.air) }

// paint draws skin, hair and clothes of a person whose inner canthi have the given temperature.
func (l *look) paint(skinCelsius, ambientCelsius float64) {
	l.skin, l.air = skinCelsius, ambientCelsius
	for i := range l.shells {
		y := mix(l.headTop(), l.headBottom(), float64(i)/float64(len(l.shells)-1))
		l.shells[i].a, l.shells[i].b = l.section(y, l.worn())
	}
	l.exhaled = 0
	l.paintHead(&l.head)
	if l.breathing {
		l.exhaled = 1
		l.paintHead(&l.warm)
	}
	l.paintTorso()
}

func (l *look) paintHead(head *texture) {
	head.size(headCols, headRows)
	noise := mottling(l.texture)
	for j := range headRows {
		y := mix(l.headTop(), l.headBottom(), (float64(j)+0.5)/headRows)
		a, _ := l.section(y, 0)
		for i := range headCols {
			longitude := ((float64(i)+0.5)/headCols*2 - 1) * math.Pi
			x := a * math.Sin(longitude)
			t := l.skin - l.gain()*l.belowCanthus(x, y, math.Cos(longitude) > 0, noise)
			head.values[j*headCols+i] = l.dressed(t, x, y, longitude, noise)
		}
	}
}

// belowCanthus is how much colder than the inner canthi the bare skin is at a point, in °C at 23 °C ambient.
func (l *look) belowCanthus(x, y float64, front bool, noise mottling) float64 {
	d := mix(l.forehead, 0.45*l.cheek+0.4*l.forehead+0.2, smooth((y+0.01)/0.05))
	d += 0.4*noise.at(x*40, y*40) + 0.3*noise.at(x*110+31, y*110)
	if !front {
		return d
	}
	side := math.Abs(x)
	toward := func(value, weight float64) { d += (value - d) * weight }
	toward(l.forehead*0.7, 0.7*bump(side-0.06, y+0.012, 0.012, 0.016)) // temples: superficial temporal artery
	for i := range 3 {                                                 // veins of the forehead
		vein := -0.035 + 0.035*float64(i) + 0.02*noise.at(float64(i)*7.3, 2.5) + 0.2*noise.at(float64(i), y*40)*0.03
		d -= 0.45 * bump(x-vein-0.15*(y+0.05)*noise.at(float64(i), 9), y+0.055, 0.004, 0.022)
	}
	toward(l.cheek, 0.85*bump(side-0.04, y-0.045, 0.017, 0.02))
	toward(l.socket, 0.95*bump(side-0.028, y+0.001, 0.019, 0.013))
	d += 0.55 * bump(side-0.034, y+0.021, 0.019, 0.004) // brow
	d += 0.5 * bump(side-eyeX, y-0.001, 0.008, 0.005)   // cornea
	d += 1.1 * bump(x, y, 0.006, 0.012)                 // bridge of the nose
	toward(l.nose*0.6, 0.75*bump(side-0.012, y-l.noseTip()+0.004, 0.012, 0.012))
	toward(l.mouth, 0.9*bump(x, y-l.lips(), 0.024, 0.010))
	d += 0.3 * bump(x, y-l.lips()+0.016, 0.016, 0.006) // upper lip, in the stream of breath
	d += 0.35 * bump(x, y-l.lips(), 0.018, 0.0025)
	d += 0.7 * smooth((y-l.chin()+0.025)/0.025) // turned down, away from the camera
	return d * (1 - canthus(side-canthusX, y-canthusY))
}

// canthus is 1 on the inner corner of an eye and falls to half within 8 mm. In the clinical data the mean over about
// 11 mm around it is 0.9 °C below its maximum.
func canthus(x, y float64) float64 {
	r := max(0, math.Hypot(x, y)-0.003)
	return math.Exp(-r * r / (2 * 0.0042 * 0.0042))
}

// dressed covers the skin of temperature t with beard, hair, mask and hat.
func (l *look) dressed(t, x, y, longitude float64, noise mottling) float64 {
	strand := 1 + 0.35*noise.at(longitude*9, y*35+11)
	hair := func(share float64) float64 { return l.through(min(share*strand, 0.95), t) }
	front := math.Cos(longitude)
	if l.beard > 0 && front > 0 {
		w := smooth((y-l.lips()+0.028-0.25*math.Abs(x))/0.012) - 0.8*bump(x, y-l.lips(), 0.02, 0.006)
		w *= smooth((0.085 - math.Abs(x)) / 0.01)
		t = mix(t, hair(0.5), l.beard*max(0, w)*0.9)
	}
	thin := 1 - 0.45*smooth((l.hairline()-y)/0.06) // farther from the skin
	t = mix(t, hair(l.hairCover*thin), l.haired(longitude, y, noise))
	if l.mask && front > 0.1 {
		edge := 0.018 + 0.25*math.Abs(x)
		w := smooth((y-edge)/0.004) * smooth((front-0.15)/0.1)
		t = mix(t, l.through(0.5+0.08*noise.at(x*40, y*40)+l.breathOver(x, y), l.skin-1), w)
	}
	if l.hat {
		edge := l.hairline() + 0.012 + 0.035*smooth((1-front)/0.8)
		t = mix(t, l.through(0.3+0.1*noise.at(longitude*3, y*30), l.skin-1.5), smooth((edge-y)/0.004))
	}
	return t
}

// breathOver is how much more of the skin's warmth the mask has where the breath goes through. Between breaths in and
// out a mask before nose and mouth goes from near the air's temperature to near the skin's.
func (l *look) breathOver(x, y float64) float64 {
	below := y - l.noseTip() - 0.012
	if !l.breathing {
		return 0.12 * bump(x, below, 0.02, 0.015)
	}
	return mix(-0.38, 0.42, l.exhaled) * bump(x, below, 0.03, 0.02)
}

// haired is how much of a point of the head is under hair: the hairline across the forehead, sideburns, the back.
func (l *look) haired(longitude, y float64, noise mottling) float64 {
	around := math.Abs(longitude) / math.Pi * 180
	edge := l.hairline() + 0.008*noise.at(longitude*2.5, 3)
	cover := 1.0
	switch l.hair {
	case bald:
		cover = 0.15 // what is shaved
	case fringe:
		edge += (0.035 + 0.025*noise.at(longitude*2.5, 7)) * smooth((70-around)/25)
	}
	edge = mix(edge, 0.025, smooth((around-52)/18))
	edge = mix(edge, 0.09, smooth((around-85)/20))
	if l.hair == long {
		edge = mix(edge, 0.05+0.02*noise.at(longitude*3, 5), smooth((around-56)/10))
		edge = mix(edge, l.chin()+0.01, smooth((around-75)/20))
	}
	return cover * smooth((edge-y)/0.012+0.5)
}

func (l *look) paintTorso() {
	l.torso.size(torsoCols, torsoRows)
	noise := mottling(l.texture + 1)
	for j := range torsoRows {
		y := mix(torsoTop, torsoBottom, (float64(j)+0.5)/torsoRows)
		for i := range torsoCols {
			x := torsoHalf * ((float64(i)+0.5)/torsoCols*2 - 1)
			l.torso.values[j*torsoCols+i] = l.bodyAt(x, y, noise)
		}
	}
}

// bodyAt is the temperature of the body's front at a point below the chin.
func (l *look) bodyAt(x, y float64, noise mottling) float64 {
	side := math.Abs(x)
	skin := l.skin - l.gain()*(l.neck+0.4*noise.at(x*50, y*50)+0.8*smooth((side-0.02)/0.04)*smooth((0.03-y)/0.03)+1.2*smooth((-0.01-y)/0.05))
	share := l.clothes[0]
	if l.jacket {
		share = mix(share, l.clothes[1], smooth((side-0.05-0.08*smooth((y-0.07)/0.35))/0.015))
	}
	share += 0.07*noise.at(x*9+y*5, y*7) + 0.05*noise.at(x*30, y*12+x*20)
	share -= 0.12 * math.Exp(-square((side-0.165-0.02*y)/0.012)) * smooth((y-0.14)/0.05) // between arm and body
	share -= 0.08 * smooth((side-0.19)/0.04)
	cloth := l.through(max(share, 0.05), 33.5)
	collar := l.collar + 0.02*smooth(side/0.07)
	bare := smooth((collar-y)/0.008 + 0.5)
	if l.neckline > 0 {
		bare = max(bare, smooth((1-side/0.05-(y-l.collar)/l.neckline)/0.2))
	}
	if l.sleeveless {
		bare = max(bare, smooth((side-0.172)/0.008)*smooth((y-0.3)/0.01))
	}
	return mix(cloth, skin, bare)
}

// bump is a Gaussian hill of height 1.
func bump(x, y, sigmaX, sigmaY float64) float64 {
	q := square(x/sigmaX) + square(y/sigmaY)
	if q > 16 {
		return 0
	}
	return math.Exp(-q / 2)
}

func square(x float64) float64 { return x * x }

// mottling is smooth random structure in the plane, about -1 to 1 with features one unit wide.
type mottling uint64

func (m mottling) at(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	i, j := int64(fx), int64(fy)
	u, v := smooth(x-fx), smooth(y-fy)
	return mix(mix(m.corner(i, j), m.corner(i+1, j), u), mix(m.corner(i, j+1), m.corner(i+1, j+1), u), v)
}

// corner hashes a lattice point to -1…1 (splitmix64's finaliser).
func (m mottling) corner(i, j int64) float64 {
	z := uint64(m) + uint64(i)*0x9e3779b97f4a7c15 + uint64(j)*0xd1b54a32d192ed03
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(int64(z)>>11) / (1 << 52)
}
