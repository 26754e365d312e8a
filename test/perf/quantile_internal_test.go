package main

import (
	"math"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i // Not sorted.
	}
	for _, tt := range []struct {
		values []int
		p      float64
		want   int
	}{
		{[]int{7}, 0.5, 7}, {[]int{7}, 0.99, 7},
		{[]int{3, 1, 2}, 0.5, 2},
		{[]int{4, 3, 2, 1}, 0.5, 2},
		{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1},
	} {
		if got, ok := quantile(tt.values, tt.p); !ok || got != tt.want {
			t.Errorf("quantile of %d values at %v: %d, want %d", len(tt.values), tt.p, got, tt.want)
		}
	}
	if v, ok := quantile([]int(nil), 0.5); ok {
		t.Errorf("of no values: %d, want none", v)
	}
	if got := millis(nil, 0.99); !math.IsNaN(got) {
		t.Errorf("millis of no values: %v, want NaN", got)
	}
	if got := millis([]time.Duration{1500 * time.Microsecond}, 0.99); got != 1.5 {
		t.Errorf("millis: %v, want 1.5", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1}, 2.5}, {[]float64{nan, 1, nan, 3}, 2},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
	if got := median([]float64{nan}); !math.IsNaN(got) {
		t.Errorf("median of nothing: %v, want NaN", got)
	}
}
