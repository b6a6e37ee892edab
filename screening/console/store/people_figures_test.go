package store

import (
	"fmt"
	"testing"
	"time"
)

// TestLongListIsQuick puts 20,000 people on a list, looks at it first, and changes it: the time of a read file is beside that.
func TestLongListIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("a figure")
	}
	s := open(t, config(t, "SQLite"))
	var rows []Listed
	for n := range 20_000 {
		rows = append(rows, Listed{Number: fmt.Sprintf("A%05d", n), Name: "欧阳娜娜", Department: "总装车间", Shift: "甲班"})
	}
	for _, what := range []string{"new", "changed"} {
		began := time.Now()
		u := onList(t, s, "", true, time.Now(), rows...)
		took := time.Since(began)
		t.Logf("20,000 people, %s: %v", what, took)
		if took > 5*time.Second || u.Added+u.Changed != len(rows) {
			t.Errorf("%s: %v, %+v", what, took, u)
		}
		for i := range rows {
			rows[i].Department = "喷涂车间"
		}
	}
}
