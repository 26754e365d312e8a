package store

import (
	"strings"
	"testing"
	"time"
)

func TestShape(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT a FROM b WHERE c = $1":                         "SELECT a FROM b WHERE c = $1",
		"SELECT a\n\tFROM b WHERE c IN ($1, $2, $3)":           "SELECT a FROM b WHERE c IN ($1, …)",
		"SELECT a FROM b WHERE c IN (?, ?,?) AND d = ?":        "SELECT a FROM b WHERE c IN (?, …) AND d = ?",
		"INSERT INTO a VALUES ('it''s a secret', ?), ('x', ?)": "INSERT INTO a VALUES ('…', ?), ('…', ?)",
		strings.Repeat("é", 400):                               strings.Repeat("é", 250) + "…",
	} {
		if got := shape(query); got != want {
			t.Errorf("%s has the shape %q, want %q", query, got, want)
		}
	}
}

// TestTakingTimeAllocatesNothing also where a statement is slow for no log.
func TestTakingTimeAllocatesNothing(t *testing.T) {
	timer := newTimer(0, nil)
	began := time.Now()
	if n := testing.AllocsPerRun(100, func() { timer.took(t.Context(), kindQuery, "SELECT 1", began, nil) }); n != 0 {
		t.Errorf("taking the time of a statement allocates %v times, want never", n)
	}
}
