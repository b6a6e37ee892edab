package kiosk

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"thermogate/screening/event"
)

// wordsOf returns the values of the constants of a type in a package of the project.
func wordsOf(t *testing.T, folder, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
				return true
			}
			for _, value := range spec.Values {
				word, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				words = append(words, word)
			}
			return true
		})
	}
	if len(words) == 0 {
		t.Fatalf("no constants of type %s in %s", typeName, folder)
	}
	return words
}

func checkPhrase(t *testing.T, of string, p phrase) {
	t.Helper()
	chinese := strings.IndexFunc(p.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
	english := strings.IndexFunc(p.EN, func(r rune) bool { return unicode.Is(unicode.Han, r) }) < 0
	if !chinese || !english || p.EN == "" {
		t.Errorf("%s reads %q and %q", of, p.ZH, p.EN)
	}
}

func TestEveryReasonHasWords(t *testing.T) {
	for _, reason := range wordsOf(t, "../event", "Reason") {
		if reason == "" {
			continue
		}
		checkPhrase(t, reason, label(reason))
		checkPhrase(t, reason, readDictionary().phrase(inconclusiveOf(event.Reason(reason), nil).head))
	}
}

func TestWhatHasToComeOff(t *testing.T) {
	for _, test := range []struct {
		worn []event.Garment
		want string
	}{
		{[]event.Garment{event.Glasses}, "no-glasses"},
		{[]event.Garment{event.Mask, event.Hat}, "no-hat"},
		{[]event.Garment{event.Hat, event.Glasses}, "no-hat-or-glasses"},
		{[]event.Garment{event.Mask}, "no-hair"},
		{nil, "no-hair"},
	} {
		if got := guideOf(event.Covered, test.worn).head; got != test.want {
			t.Errorf("%v: %s", test.worn, got)
		}
		data := event.Data{Outcome: event.Inconclusive, Reason: event.Covered, Worn: test.worn}
		if got := verdictOf(&data); got.head != "try-again" || got.sub != test.want {
			t.Errorf("after %v: %+v", test.worn, got)
		}
	}
}

func TestVerdictsNeverLookAlike(t *testing.T) {
	tones := map[tone]event.Outcome{}
	for _, outcome := range wordsOf(t, "../event", "Outcome") {
		if event.Outcome(outcome) == event.Named {
			continue // no verdict, and never shown
		}
		tone := verdictOf(&event.Data{Outcome: event.Outcome(outcome)}).tone
		if other, taken := tones[tone]; taken {
			t.Errorf("%s looks like %s", outcome, other)
		}
		tones[tone] = event.Outcome(outcome)
	}
}
