package simulator

import (
	"testing"

	"thermogate/camera"
)

func BenchmarkRead(b *testing.B) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"120x160", 120, 160}, {"640x480", 640, 480}} {
		b.Run(size.name, func(b *testing.B) {
			s := Demo()
			s.Camera.Width, s.Camera.Height = size.width, size.height
			m, err := New(s, Options{})
			if err != nil {
				b.Fatal(err)
			}
			var frame camera.Frame
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Read(b.Context(), &frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
