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

	"thermogate/screening"
	"thermogate/screening/measure"
	"thermogate/screening/policy"
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

func TestEveryProblemHasWords(t *testing.T) {
	unknown := guideOf("never heard of")
	for _, problem := range wordsOf(t, "../measure", "Problem") {
		guide := guideOf(measure.Problem(problem))
		if guide == unknown {
			t.Errorf("a person is not told what to do about %q", problem)
		}
		checkPhrase(t, problem, guide.head)
		if problem != "" {
			checkPhrase(t, problem, label(problem))
		}
	}
}

func TestEveryReasonHasWords(t *testing.T) {
	for _, reason := range wordsOf(t, "../policy", "Reason") {
		checkPhrase(t, reason, label(reason))
		checkPhrase(t, reason, inconclusiveOf(reason).head)
	}
}

func TestVerdictsNeverLookAlike(t *testing.T) {
	tones := map[tone]policy.Outcome{}
	for _, outcome := range wordsOf(t, "../policy", "Outcome") {
		tone := verdictOf(&screening.Data{Outcome: policy.Outcome(outcome)}).tone
		if other, taken := tones[tone]; taken {
			t.Errorf("%s looks like %s", outcome, other)
		}
		tones[tone] = policy.Outcome(outcome)
	}
}
