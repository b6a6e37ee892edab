package network

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"gocv.io/x/gocv"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	model, err := os.ReadFile("../" + name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func open(t testing.TB, model []byte, width, height int) *Network {
	t.Helper()
	n, err := New(model, width, height)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestSameAsOpenCV holds every network against OpenCV's own reader and layers, which training/export.py holds against torch.
func TestSameAsOpenCV(t *testing.T) {
	for _, test := range []struct {
		name                    string
		width, height, channels int
	}{
		{"face", 128, 160, 20},
		{"face", 144, 160, 20},
		{"face", 416, 336, 20},
		{"marks", 40, 48, 17},
		{"worn", 40, 48, 2},
	} {
		t.Run(fmt.Sprintf("%s %dx%d", test.name, test.width, test.height), func(t *testing.T) {
			model := read(t, test.name)
			n := open(t, model, test.width, test.height)
			random := rand.New(rand.NewPCG(1, 2))
			for i := range n.Input {
				n.Input[i] = float32(random.NormFloat64())
			}
			if err := n.Run(); err != nil {
				t.Fatal(err)
			}
			want := byOpenCV(t, model, n.Input, test.width, test.height)
			if len(want) != len(n.Output) {
				t.Fatalf("%d values instead of %d", len(n.Output), len(want))
			}
			places := len(want) / test.channels
			for i, got := range n.Output {
				if want := want[i%test.channels*places+i/test.channels]; math.Abs(float64(got-want)) > 1e-4 {
					t.Fatalf("value %d: %v instead of %v", i, got, want)
				}
			}
		})
	}
}

// byOpenCV has the places of each channel together.
func byOpenCV(t *testing.T, model []byte, input []float32, width, height int) []float32 {
	t.Helper()
	net, err := gocv.ReadNetFromONNXBytes(model)
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	blob := gocv.NewMatWithSizes([]int{1, 1, height, width}, gocv.MatTypeCV32F)
	defer blob.Close()
	pixels, err := blob.DataPtrFloat32()
	if err != nil {
		t.Fatal(err)
	}
	copy(pixels, input)
	net.SetInput(blob, "")
	out := net.Forward("")
	defer out.Close()
	values, err := out.DataPtrFloat32()
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), values...)
}

func TestBrokenModels(t *testing.T) {
	model := read(t, "worn")
	for _, size := range []int{0, 1, 100, len(model) / 2, len(model) - 1} {
		if n, err := New(model[:size], 40, 48); err == nil {
			n.Close()
			t.Errorf("the first %d bytes of a model are taken for one", size)
		}
	}
	if n, err := New(model, 41, 48); err == nil {
		n.Close()
		t.Error("a network that looks at every second place is made for an odd number of them")
	}
	if n, err := New(model, 80, 48); err == nil {
		n.Close()
		t.Error("a network with a matrix is made for pictures of another size")
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	n := open(t, read(t, "worn"), 40, 48)
	if allocations := testing.AllocsPerRun(20, func() {
		if err := n.Run(); err != nil {
			t.Fatal(err)
		}
	}); allocations > 0 {
		t.Errorf("%v allocations a run", allocations)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, test := range []struct {
		name          string
		width, height int
	}{{"face", 128, 160}, {"face", 416, 336}, {"marks", 40, 48}, {"worn", 40, 48}} {
		b.Run(fmt.Sprintf("%s-%dx%d", test.name, test.width, test.height), func(b *testing.B) {
			n := open(b, read(b, test.name), test.width, test.height)
			for b.Loop() {
				if err := n.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
