package store

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkLongList puts 20,000 people on a list, looks at it first, and changes all: the time of a read file is beside that.
func BenchmarkLongList(b *testing.B) {
	var rows []Listed
	for n := range 20_000 {
		rows = append(rows, Listed{Number: fmt.Sprintf("A%05d", n), Name: "欧阳娜娜", Department: "总装车间", Shift: "甲班"})
	}
	for b.Loop() {
		s := open(b, config(b, "SQLite"))
		for _, department := range []string{"总装车间", "喷涂车间"} {
			for i := range rows {
				rows[i].Department = department
			}
			if u := onList(b, s, "", true, time.Now(), rows...); u.Added+u.Changed != len(rows) {
				b.Errorf("%s: %+v", department, u)
			}
		}
	}
}
