package v4l2

// Mode is a format and size that a device is asked for.
type Mode struct {
	Code string // see Format.Code
	Size
}

func (m Mode) String() string { return Format{m.Code, []Size{m.Size}}.String() }

// The formats that carry 16-bit counts: as such, or two bytes a pixel that pass for a picture.
const (
	codeY16  = "Y16 "
	codeYUYV = "YUYV"
)

// Layout is where in a delivered picture the counts lie, and what they are known to mean.
type Layout struct {
	// Size is that of the picture of counts.
	Size
	// Top is the row of the delivered picture in which it begins.
	Top int
	// Units names the scale of the counts; empty where the layout says nothing of it.
	Units string
	// Camera is what delivers such pictures; empty where any may.
	Camera string
	// Telemetry is true where the rows beside the picture say how the camera is.
	Telemetry bool
	// Calibration is true where they hold constants with which the maker's program computes temperatures.
	Calibration bool
}

// sensors are the cameras that are known by the size of their 16-bit grey. With telemetry switched on they deliver a few
// rows more: a Lepton's are the 3 or 4 packets of 80 words of FLIR's "Lepton Engineering Datasheet" (500-0659-00-09,
// section 3.4), in PureThermal's firmware below the picture; a Boson's are two rows above it.
var sensors = []struct {
	camera string
	Size
	rows Rows // as long as nobody moves them
}{
	{"a FLIR Lepton", Size{160, 120}, Rows{Below: 2}},
	{"a FLIR Lepton", Size{80, 60}, Rows{Below: 3}},
	{"a FLIR Boson", Size{320, 256}, Rows{Above: 2}},
	{"a FLIR Boson", Size{640, 512}, Rows{Above: 2}},
}

// LayoutOf tells where the counts lie in the pictures of a mode, and whether there are any.
func LayoutOf(mode Mode) (Layout, bool) {
	switch mode.Code {
	case codeY16:
		return greyLayout(mode.Size), true
	case codeYUYV:
		return yuyvLayout(mode.Size)
	}
	return Layout{}, false
}

func greyLayout(size Size) Layout {
	for _, s := range sensors {
		switch {
		case size == s.Size:
			return Layout{Size: size, Camera: s.camera}
		case size.Width == s.Width && size.Height == s.Height+s.rows.Above+s.rows.Below:
			return Layout{Size: s.Size, Top: s.rows.Above, Camera: s.camera, Telemetry: true}
		}
	}
	return Layout{Size: size}
}

// yuyvLayout knows cameras that declare a YUYV picture and deliver counts in some of its rows. No picture for eyes stands
// upright at twice the height of a thermal sensor.
//
//   - picture above counts in 1/64 K: InfiRay P2 Pro, Topdon TC001 and their like at 256x384
//     (github.com/LeoDJ/P2Pro-Viewer), and larger ones;
//   - the same with two rows of information between: Thermal Master P2 and its like at 256x386
//     (github.com/jvdillon/p3-ir-camera has the same rows over another protocol). UNI-T's UTi260B has this size, too; what
//     is public of it contradicts itself;
//   - two blocks, each with four rows of information below, the counts above: HIKMICRO Mini at 256x392. Their scale is not
//     public (github.com/manbehindthemadness/Topdon_TC002C_duo_MacOS measured about 1/64 K from −50 °C on);
//   - counts above four rows of calibration: Xtherm T2S+ at 256x196 and HTi HT-301 at 384x292
//     (github.com/stawel/ht301_hacklib).
func yuyvLayout(size Size) (Layout, bool) {
	for _, height := range []int{size.Width * 3 / 4, size.Width * 4 / 5} {
		sensor := Size{size.Width, height}
		if !thermal(sensor) {
			continue
		}
		switch size.Height {
		case 2 * height:
			return Layout{Size: sensor, Top: height, Units: "kelvin64", Camera: "a two-plane camera"}, true
		case 2*height + 2:
			return Layout{Size: sensor, Top: height + 2, Units: "kelvin64", Camera: "a two-plane camera"}, true
		case 2*height + 8:
			return Layout{Size: sensor, Calibration: true, Camera: "a HIKMICRO Mini or its like"}, true
		case height + 4:
			if sensor == (Size{256, 192}) || sensor == (Size{384, 288}) {
				return Layout{Size: sensor, Calibration: true, Camera: "an Xtherm T2S+, HT-301 or their like"}, true
			}
		}
	}
	return Layout{}, false
}

// thermal reports whether microbolometers are built in this width. A webcam on its side has others.
func thermal(size Size) bool {
	for _, width := range []int{80, 120, 160, 192, 240, 256, 320, 384, 400, 640, 1024, 1280} {
		if size.Width == width {
			return true
		}
	}
	return false
}

// names are the cameras that are known by their USB vendor and product.
var names = map[string]string{
	"1e4e:0100": "a FLIR Lepton on a PureThermal board", // github.com/groupgets/purethermal1-firmware
	"09cb:4007": "a FLIR Boson",                         // github.com/FLIR/BosonUSB
	"0bda:5830": "an InfiRay P2 Pro, Topdon TC001 or their like",
	"0bda:5840": "an InfiRay P2 or its like",
	"0bda:3901": "a UNI-T UTi260B",
	"2bdf:0102": "a HIKMICRO Mini, Topdon TC002C or their like",
}

// KnownAs says which camera a device is taken for, by its USB id or by what it delivers; empty where it is unknown.
func (d Device) KnownAs() string {
	if name := names[d.USB]; name != "" {
		return name
	}
	_, layout, _ := d.Best()
	return layout.Camera
}

// Best is the mode that says most of temperatures: 16-bit grey before planes of a YUYV picture, with telemetry before
// without, larger before smaller. There is none where a device delivers pictures for eyes only.
func (d Device) Best() (Mode, Layout, bool) {
	var best Mode
	var layout Layout
	found := 0
	for _, format := range d.Formats {
		for _, size := range format.Sizes {
			mode := Mode{format.Code, size}
			l, ok := LayoutOf(mode)
			if !ok {
				continue
			}
			if worth := l.worth(mode.Code); worth > found || worth == found && l.Width*l.Height > layout.Width*layout.Height {
				best, layout, found = mode, l, worth
			}
		}
	}
	return best, layout, found > 0
}

func (l Layout) worth(code string) int {
	switch {
	case l.Telemetry:
		return 5
	case code == codeY16 && l.Camera != "":
		return 4
	case code == codeY16:
		return 3
	case !l.Calibration:
		return 2
	}
	return 1
}

// commonModes are what thermal cameras are known to deliver.
func commonModes() []Mode {
	var modes []Mode
	for _, s := range sensors {
		modes = append(modes, Mode{codeY16, Size{s.Width, s.Height + s.rows.Above + s.rows.Below}}, Mode{codeY16, s.Size})
	}
	for _, size := range []Size{{160, 120}, {192, 144}, {240, 180}, {256, 192}, {320, 240}, {320, 256}, {384, 288}, {640, 480},
		{640, 512}, {1024, 768}, {1280, 1024}} {
		modes = append(modes, Mode{codeY16, size}, Mode{codeYUYV, size})
		for _, height := range []int{2 * size.Height, 2*size.Height + 2, 2*size.Height + 8, size.Height + 4} {
			modes = append(modes, Mode{codeYUYV, Size{size.Width, height}})
		}
	}
	return modes
}
