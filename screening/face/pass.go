package face

import (
	"fmt"
	"image"
	"math"
	"slices"

	"thermogate/screening/face/network"
)

// pass is the network at one input size.
type pass struct {
	*network.Network
	width, height int
}

// maxPasses is how many are kept, last used first: those of two cameras, each looked at in two sizes.
const maxPasses = 4

func imagePoint(x, y int) image.Point { return image.Pt(x, y) }

// passFor returns the network for pictures of a size, which is padded to what the network takes.
func (d *Detector) passFor(width, height int) (*pass, error) {
	up := func(n int) int { return (n + multiple - 1) / multiple * multiple }
	width, height = up(width), up(height)
	if i := slices.IndexFunc(d.passes, func(p *pass) bool { return p.width == width && p.height == height }); i >= 0 {
		p := d.passes[i]
		copy(d.passes[1:], d.passes[:i])
		d.passes[0] = p
		return p, nil
	}
	p, err := newPass(width, height)
	if err != nil {
		return nil, err
	}
	if len(d.passes) == maxPasses {
		err = d.passes[maxPasses-1].Close()
		d.passes = d.passes[:maxPasses-1]
	}
	d.passes = slices.Insert(d.passes, 0, p)
	return p, err
}

func newPass(width, height int) (*pass, error) {
	net, err := network.New(model, width, height)
	if err != nil {
		return nil, fmt.Errorf("the network of faces: %w", err)
	}
	return &pass{net, width, height}, nil
}

// load writes a picture to the input as the network knows it: (T - level) * gain, bent softly so that a kettle or the
// sky stays in range. What is missing at the right and below is filled with the picture's last pixels.
func (p *pass) load(pixels []float32, width, height int, level, gain float32) {
	for y := range height {
		row := p.Input[y*p.width:][:p.width]
		bend(pixels[y*width:][:width], row, level, gain, mostBent)
		for x := width; x < p.width; x++ {
			row[x] = row[width-1]
		}
	}
	last := p.Input[(height-1)*p.width:][:p.width]
	for y := height; y < p.height; y++ {
		copy(p.Input[y*p.width:], last)
	}
}

// run appends the faces the network sees to faces, in input pixels.
func (p *pass) run(faces []Face) ([]Face, error) {
	if err := p.Run(); err != nil {
		return nil, err
	}
	least := logit(proposalScore)
	for y := range p.height / stride {
		for x := range p.width / stride {
			if p.at(x, y, heatChannel) >= least && p.peak(x, y) {
				faces = append(faces, p.decode(x, y))
			}
		}
	}
	return faces, nil
}

// at is a channel of a cell. At each place the four cells of a channel come one after the other, then those of the next.
func (p *pass) at(x, y, channel int) float32 {
	place := y/2*(p.width/stride/2) + x/2
	return p.Output[(place*channels+channel)*cells+y%2*2+x%2]
}

// peak reports whether no neighbour of a cell is higher.
func (p *pass) peak(x, y int) bool {
	for v := max(y-1, 0); v <= min(y+1, p.height/stride-1); v++ {
		for u := max(x-1, 0); u <= min(x+1, p.width/stride-1); u++ {
			if p.at(u, v, heatChannel) > p.at(x, y, heatChannel) {
				return false
			}
		}
	}
	return true
}

// decode reads the channels of a cell.
func (p *pass) decode(x, y int) Face {
	middleX, middleY := (float32(x)+0.5)*stride, (float32(y)+0.5)*stride
	size := func(channel int) float32 {
		return stride * float32(math.Exp(float64(min(max(p.at(x, y, channel), -1), 4))))
	}
	w, h := size(boxChannel+2), size(boxChannel+3)
	return Face{
		X: middleX + (p.at(x, y, boxChannel)-0.5)*w, Y: middleY + (p.at(x, y, boxChannel+1)-0.5)*h, W: w, H: h,
		Score: logistic(p.at(x, y, heatChannel)),
	}
}
