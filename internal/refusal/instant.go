package refusal

import "time"

// Instant returns a time as clients read it, in Extras and as DateTime: RFC 3339 in UTC with
// three digits of a second. What is below is cut, not rounded, so that nothing is said to
// happen later than it did.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
