package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// quantile returns the smallest value that at least the share p of all values does not
// exceed (the nearest rank), and false when there are none. It sorts the values.
func quantile[T cmp.Ordered](values []T, p float64) (T, bool) {
	if len(values) == 0 {
		var none T
		return none, false
	}
	slices.Sort(values)
	rank := int(math.Ceil(p * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1], true
}

// millis returns a quantile in milliseconds, NaN without values.
func millis(values []time.Duration, p float64) float64 {
	v, ok := quantile(values, p)
	if !ok {
		return math.NaN()
	}
	return float64(v) / float64(time.Millisecond)
}

// median returns the middle of the values, between the two middle ones of an even number,
// and NaN without values. What is no number is left out.
func median(values []float64) float64 {
	numbers := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(numbers) == 0 {
		return math.NaN()
	}
	slices.Sort(numbers)
	n := len(numbers)
	return (numbers[(n-1)/2] + numbers[n/2]) / 2
}
