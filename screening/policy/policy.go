// Package policy turns a skin temperature into a verdict.
package policy

// Outcome of a screening.
type Outcome string

// The outcomes.
const (
	Pass         Outcome = "pass"
	Alert        Outcome = "alert"
	Inconclusive Outcome = "inconclusive"
)
