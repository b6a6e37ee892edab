package camera

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"thermogate/testdata"
)

func TestRealRecordingsReplayWhole(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testdata.Shared(t, "recordings"), "*.tiff"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			said, err := readSidecar(sidecarPath(path))
			if err != nil {
				t.Fatal(err)
			}
			source, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			var frame Frame
			frames := 0
			for ; ; frames++ {
				err := source.Read(context.Background(), &frame)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if want := time.Unix(0, 0).Add(milliseconds(said.TimeMS[frames])); !frame.Captured.Equal(want) {
					t.Errorf("frame %d captured at %v, want %v", frames, frame.Captured, want)
				}
				if w, h := said.Orientation.size(*said.Width, *said.Height); frame.Width != w || frame.Height != h {
					t.Fatalf("frame %d has %dx%d pixels, want %dx%d", frames, frame.Width, frame.Height, w, h)
				}
			}
			if frames != *said.Frames {
				t.Errorf("%d frames, sidecar says %d", frames, *said.Frames)
			}
		})
	}
}
