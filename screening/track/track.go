// Package track keeps who is who from frame to frame.
package track
