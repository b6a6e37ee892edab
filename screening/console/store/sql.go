package store

import (
	"strconv"
	"strings"
)

// mattn/go-sqlite3 binds the first argument to the parameter that a statement names first, whatever its number. So the
// parameters of every statement here are numbered in the order in which they first stand in it.

// list is n parameters, of which the first has the number first: "$3, $4".
func list(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(first + i))
	}
	return b.String()
}

// values is so many rows of so many parameters: "($1, $2), ($3, $4)".
func values(rows, columns int) string {
	var b strings.Builder
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + list(1+i*columns, columns) + ")")
	}
	return b.String()
}

// stepRows is how many rows one statement takes at most.
const stepRows = 128

// inSteps calls do with the arguments of so many columns of some rows after the other, and with the parameters for them.
// For SQLite the rows of a step are a power of two, so that the same few statements come again and are prepared already;
// for a server one statement is quicker than several.
func (s *Store) inSteps(args []any, columns int, do func(rows string, args []any) error) error {
	for step := stepRows; len(args) > 0; {
		rows := min(step, len(args)/columns)
		if rows < step && !s.postgres {
			step /= 2
			continue
		}
		if err := do(values(rows, columns), args[:rows*columns]); err != nil {
			return err
		}
		args = args[rows*columns:]
	}
	return nil
}

// conditions are put together with their arguments, so that their numbers are right.
type conditions struct {
	where []string
	args  []any
}

// add takes a condition with one "?" for each argument.
func (c *conditions) add(condition string, args ...any) {
	var b strings.Builder
	for _, part := range strings.SplitAfter(condition, "?") {
		if head, found := strings.CutSuffix(part, "?"); found {
			b.WriteString(head + list(1+len(c.args), 1))
			c.args = append(c.args, args[0])
			args = args[1:]
		} else {
			b.WriteString(part)
		}
	}
	c.where = append(c.where, b.String())
}

func (c *conditions) String() string {
	if len(c.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.where, " AND ")
}

// any is true where one of the conditions is.
func (c *conditions) any() string { return "(" + strings.Join(c.where, ") OR (") + ")" }

func anys[T any](list []T) []any {
	all := make([]any, len(list))
	for i, one := range list {
		all[i] = one
	}
	return all
}
