package kiosk

import (
	"bytes"
	"slices"

	"thermogate/camera/radiometry"
	"thermogate/screening/event"
	"thermogate/screening/thermogram"
)

// maxPixels keeps a picture below 50 kB. A larger one is made smaller by a whole factor.
const maxPixels = 50_000

// picture is one frame as the pages paint it. It is never changed after it was made.
type picture struct {
	number uint64
	// body is a line of JSON (pictureHead), then Width*Height bytes of grey, row by row.
	body []byte
	// bare is that line without temperatures, for the page in front of the person.
	bare []byte
}

// parts are what a page is sent, one after the other.
func (p *picture) parts(worker bool) [][]byte {
	if !worker {
		return [][]byte{p.body}
	}
	return [][]byte{p.bare, p.body[bytes.IndexByte(p.body, '\n'):]}
}

// pictureHead describes the pixels that follow it. Places are parts of the width and height of the picture, so that they
// fit any size it is painted in.
type pictureHead struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	// Temperatures of grey 0 and 255, corrected with the reference where there is one; nil in a relative picture.
	LowCelsius  *float64   `json:"low_celsius,omitempty"`
	HighCelsius *float64   `json:"high_celsius,omitempty"`
	Faces       []faceMark `json:"faces"`
	Reference   *discMark  `json:"reference,omitempty"`
	// Stand is the width of a face that is near enough, as a part of the width of the picture.
	Stand float64 `json:"stand,omitempty"`
}

type faceMark struct {
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	W     float64 `json:"w"`
	H     float64 `json:"h"`
	Tone  tone    `json:"tone"`
	Label phrase  `json:"label"`
}

type discMark struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Radius float64 `json:"radius"` // part of the width
	OK     bool    `json:"ok"`
}

// painter turns temperatures into grey. It remembers the range of the last picture so that colours do not pump.
type painter struct {
	low, high float64
	started   bool
	face      float64 // the bright end that the last face asked for; 0 before the first one
}

// paint makes a picture in which a face bears the verdict that standing gives for it. A bare one does not say how warm its
// greys are.
func (p *painter) paint(number uint64, scene *event.Scene, bare bool, standing func(*event.Person) *event.Event) *picture {
	factor := 1
	for (scene.Image.Width/factor)*(scene.Image.Height/factor) > maxPixels {
		factor++
	}
	p.follow(scene)
	head := headOf(scene, standing)
	head.Width, head.Height = scene.Image.Width/factor, scene.Image.Height/factor
	bareLine := mustJSON(head)
	if !scene.Image.Relative && !bare {
		low, high := p.low, p.high
		if scene.Reference.Found && scene.Reference.Problem == event.NoProblem {
			low += scene.Reference.CorrectionCelsius
			high += scene.Reference.CorrectionCelsius
		}
		head.LowCelsius, head.HighCelsius = &low, &high
	}
	line := mustJSON(head)
	body := make([]byte, 0, len(line)+1+head.Width*head.Height)
	body = append(append(body, line...), '\n')
	return &picture{number, p.appendGrey(body, scene.Image, factor), bareLine}
}

func headOf(scene *event.Scene, standing func(*event.Person) *event.Event) pictureHead {
	w, h := float64(scene.Image.Width), float64(scene.Image.Height)
	head := pictureHead{Faces: make([]faceMark, 0, len(scene.People)), Stand: comfortable * scene.Needs.FaceWidth / w}
	for i := range scene.People {
		person := &scene.People[i]
		mark := faceMark{X: person.Face.X / w, Y: person.Face.Y / h, W: person.Face.W / w, H: person.Face.H / h}
		mark.Tone, mark.Label = markOf(person, standing(person))
		head.Faces = append(head.Faces, mark)
	}
	if r := scene.Reference; r.Found {
		head.Reference = &discMark{r.X / w, r.Y / h, r.Radius / w, r.Problem == event.NoProblem}
	}
	return head
}

func markOf(person *event.Person, verdict *event.Event) (tone, phrase) {
	switch {
	case verdict != nil:
		return verdictOf(&verdict.Data).tone, label(verdict.Data.Outcome)
	case person.Hint != event.NoProblem:
		return toneGuide, label(person.Hint)
	default:
		return toneMeasuring, label("measuring")
	}
}

// comfortable is how much wider than it must be a face is that stands where it should.
const comfortable = 1.4

// The range is never narrower than minSpan, so that an empty wall is not blown up into noise, and never wider than maxSpan
// below a face, so that there is something to see of it. It follows the scene within about ten frames.
const (
	minSpan = 8  // °C
	maxSpan = 16 // °C
	follow  = 0.2
	// aboveFace leaves room for a face that warms up.
	aboveFace = 0.5 // °C
)

// follow has the warmest face at the bright end, and what is hotter, such as lamps and the reference source, beyond it. At
// an empty gate that stays as it was for the last face.
func (p *painter) follow(scene *event.Scene) {
	low, high := thermogram.Range(scene.Image)
	if warmest, ok := warmestFace(scene); ok {
		p.face = warmest + aboveFace
	}
	if p.face != 0 && !scene.Image.Relative {
		high = p.face
		low = min(max(low, high-maxSpan), high-minSpan)
	}
	if missing := minSpan - (high - low); missing > 0 && !scene.Image.Relative {
		low -= missing / 4 // people will be warmer than a wall
		high += missing * 3 / 4
	}
	if !p.started {
		p.low, p.high, p.started = low, high, true
		return
	}
	p.low += follow * (low - p.low)
	p.high += follow * (high - p.high)
}

// warmestFace is the temperature that one in fifty pixels of the warmest face exceeds, false where there is no face.
func warmestFace(scene *event.Scene) (celsius float64, ok bool) {
	image := scene.Image
	var pixels []float32
	for i := range scene.People {
		box := scene.People[i].Face
		pixels = pixels[:0]
		for y := max(int(box.Y), 0); y < min(int(box.Y+box.H), image.Height); y++ {
			for x := max(int(box.X), 0); x < min(int(box.X+box.W), image.Width); x++ {
				if c := image.Celsius[y*image.Width+x]; c == c {
					pixels = append(pixels, c)
				}
			}
		}
		if len(pixels) == 0 {
			continue
		}
		slices.Sort(pixels)
		if warm := float64(pixels[len(pixels)*49/50]); !ok || warm > celsius {
			celsius, ok = warm, true
		}
	}
	return celsius, ok
}

func (p *painter) appendGrey(body []byte, image *radiometry.Image, factor int) []byte {
	scale := float32(255 / max(p.high-p.low, 1e-6))
	low := float32(p.low)
	for y := 0; y+factor <= image.Height; y += factor {
		row := image.Celsius[y*image.Width:][:image.Width]
		for x := 0; x+factor <= image.Width; x += factor {
			grey := byte(0)
			if v := (row[x] - low) * scale; v > 0 {
				grey = byte(min(v, 255))
			}
			body = append(body, grey)
		}
	}
	return body
}
