package store

import (
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	parameter = regexp.MustCompile(`\$(\d+)`)
	whole     = regexp.MustCompile(`^["\x60]?\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b`)
)

// inOrder says whether parameters are numbered in the order in which they first stand in a statement. What is put into one has
// the numbers from some number on.
func inOrder(text string) bool {
	first, next := 1, 1
	for i, found := range parameter.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(found[1])
		if i == 0 && !whole.MatchString(text) {
			first, next = n, n
		}
		if err != nil || n > next || n < first {
			return false
		}
		if n == next {
			next++
		}
	}
	return true
}

// TestParametersInOrder looks at every text in the source that has parameters.
func TestParametersInOrder(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	statements := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING || !parameter.MatchString(literal.Value) {
				return true
			}
			statements++
			if !inOrder(literal.Value) {
				t.Errorf("%s: the parameters do not stand in order, which SQLite would bind wrongly: %s", set.Position(literal.Pos()), literal.Value)
			}
			return true
		})
	}
	if statements < 20 {
		t.Errorf("only %d statements were found", statements)
	}
	if inOrder("a = $2 AND b = $1") || inOrder("SELECT $2, $3") || !inOrder("a = $1 AND b = $2 AND c = $1") {
		t.Error("this test can't tell")
	}
	if !inOrder(values(3, 5)) || !inOrder(list(1, 20)) {
		t.Error("made statements are out of order")
	}
}

// TestWhyInOrder is the reason: it fails once the driver binds parameters by their numbers.
func TestWhyInOrder(t *testing.T) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var two, one string
	if err := db.QueryRow("SELECT $2, $1", "one", "two").Scan(&two, &one); err != nil || two == "two" {
		t.Errorf("$2 is %q and $1 %q, %v: the rule is not needed any more", two, one, err)
	}
}
