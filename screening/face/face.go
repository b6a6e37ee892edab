// Package face finds faces and their landmarks in a thermal picture.
package face

// Point is a position in pixels of the upright picture.
type Point struct{ X, Y float32 }

// Landmarks of a face, named by the sides of the picture.
const (
	LeftEye = iota
	RightEye
	Nose
	LeftMouth
	RightMouth
)

// Pose is how far a face is turned from the camera.
type Pose string

// The poses that are told apart.
const (
	Frontal      Pose = "frontal"
	ThreeQuarter Pose = "threequarter"
	Profile      Pose = "profile"
)

// Face is one face: hairline to chin, ear to ear, in pixels of the upright picture.
type Face struct {
	X, Y, W, H float32
	// Score is the detector's confidence, 0 to 1.
	Score     float32
	Landmarks [5]Point
	Pose      Pose
	// What hides parts of the face, as far as it can be told.
	Glasses, Mask, ForeheadCovered bool
}
