package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/cmd/internal/program"
	"thermogate/screening/face"
)

func newDetectCommand() *cobra.Command {
	var asJSON bool
	var sheetPath string
	var minScore float32
	var source sourceFlags
	command := &cobra.Command{
		Use:   "detect IMAGE|RECORDING...",
		Short: "Faces in pictures and recordings, and nothing else",
		Long: `Detect finds the faces in recordings and in single pictures, of 16 bits or of 8, and prints a line a frame.
Boxes and landmarks are in pixels of the upright picture.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			options, err := source.options()
			if err != nil {
				return err
			}
			if minScore <= 0 || minScore >= 1 {
				return program.Usage(fmt.Errorf("--min-score %g: a score lies between 0 and 1", minScore))
			}
			if sheetPath != "" && !slices.Contains([]string{".png", ".jpg", ".jpeg"}, strings.ToLower(filepath.Ext(sheetPath))) {
				return program.Usage(fmt.Errorf("--sheet %s: the name of a picture ends in .png or .jpg", sheetPath))
			}
			options.EightBit = true
			detector, err := face.New()
			if err != nil {
				return err
			}
			defer detector.Close()
			detector.MinScore = minScore
			out := bufio.NewWriter(cmd.OutOrStdout())
			d := finder{detector: detector, options: options, write: detectionWriter(out, asJSON)}
			if sheetPath != "" {
				d.sheet = new(sheet)
			}
			for _, path := range paths {
				if err := d.find(cmd.Context(), path); err != nil {
					return errors.Join(err, out.Flush())
				}
			}
			if err := out.Flush(); err != nil {
				return fmt.Errorf("writing detections: %w", err)
			}
			if d.sheet != nil {
				return d.sheet.save(sheetPath)
			}
			return nil
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a frame")
	command.Flags().StringVar(&sheetPath, "sheet", "", "draw the frames with their faces on one picture, FILE.png")
	command.Flags().Float32Var(&minScore, "min-score", 0.35, "leave out faces below this score; the gate uses 0.7 and up")
	source.bind(command.Flags())
	return command
}

// detection is one line of detect --json.
type detection struct {
	Source string         `json:"source"`
	Frame  int            `json:"frame"`
	Width  int            `json:"width"`
	Height int            `json:"height"`
	Faces  []detectedFace `json:"faces"`
}

type detectedFace struct {
	X               float32       `json:"x"`
	Y               float32       `json:"y"`
	W               float32       `json:"w"`
	H               float32       `json:"h"`
	Score           float32       `json:"score"`
	Landmarks       [5][2]float32 `json:"landmarks"`
	Pose            face.Pose     `json:"pose"`
	Glasses         bool          `json:"glasses"`
	Mask            bool          `json:"mask"`
	ForeheadCovered bool          `json:"forehead_covered"`
	// Worn lists what is worn: glasses, a mask. A hat is not told: a covered forehead is seen too badly.
	Worn []string `json:"worn,omitempty"`
}

// finder walks sources through the detector.
type finder struct {
	detector *face.Detector
	options  camera.Options
	write    func(*detection) error
	sheet    *sheet // nil where nobody asked
}

func (d *finder) find(ctx context.Context, path string) error {
	source, err := openSource(ctx, path, d.options)
	if err != nil {
		return err
	}
	defer source.Close()
	path = camera.Masked(path)
	scale, err := source.Info().Scale()
	if err != nil {
		return fmt.Errorf("scale of %s: %w", path, err)
	}
	var frame camera.Frame
	var img radiometry.Image
	for ctx.Err() == nil {
		if err := source.Read(ctx, &frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		scale.Convert(frame.Counts, frame.Width, frame.Height, &img)
		faces, err := d.detector.Detect(&img)
		if err != nil {
			return fmt.Errorf("finding faces in %s, frame %d: %w", path, frame.Index, err)
		}
		if err := d.write(newDetection(filepath.Base(path), &frame, faces)); err != nil {
			return fmt.Errorf("writing a detection: %w", err)
		}
		if d.sheet != nil {
			if err := d.sheet.add(filepath.Base(path), frame.Index, &img, faces); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func newDetection(source string, frame *camera.Frame, faces []face.Face) *detection {
	d := &detection{source, frame.Index, frame.Width, frame.Height, make([]detectedFace, len(faces))}
	for i, f := range faces {
		d.Faces[i] = detectedFace{X: f.X, Y: f.Y, W: f.W, H: f.H, Score: f.Score,
			Pose: f.Pose, Glasses: f.Glasses, Mask: f.Mask, ForeheadCovered: f.ForeheadCovered, Worn: worn(&f)}
		for j, p := range f.Landmarks {
			d.Faces[i].Landmarks[j] = [2]float32{p.X, p.Y}
		}
	}
	return d
}

// worn names what a face wears.
func worn(f *face.Face) []string {
	var names []string
	if f.Glasses {
		names = append(names, "glasses")
	}
	if f.Mask {
		names = append(names, "mask")
	}
	return names
}

// detectionWriter writes detections as JSON or as people read them.
func detectionWriter(out io.Writer, asJSON bool) func(*detection) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		return func(d *detection) error { return encoder.Encode(d) }
	}
	return func(d *detection) error {
		faces := make([]string, len(d.Faces))
		for i, f := range d.Faces {
			faces[i] = f.String()
		}
		if len(faces) == 0 {
			faces = []string{"no face"}
		}
		_, err := fmt.Fprintf(out, "%s frame %d: %s\n", d.Source, d.Frame, strings.Join(faces, "; "))
		return err
	}
}

// String is a face as people read it.
func (f detectedFace) String() string {
	text := fmt.Sprintf("%s %.0fx%.0f at %.0f,%.0f, score %.2f", f.Pose, f.W, f.H, f.X, f.Y, f.Score)
	for _, name := range f.Worn {
		text += ", " + name
	}
	if f.ForeheadCovered {
		text += ", forehead covered"
	}
	return text
}
