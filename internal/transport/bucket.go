package transport

import "time"

// bucket bounds how many messages come in the long run. It is not safe for
// concurrent use.
type bucket struct {
	perSecond, level, size float64
	at                     time.Time
}

func newBucket(perSecond int) bucket {
	size := float64(10 * perSecond)
	return bucket{perSecond: float64(perSecond), level: size, size: size}
}

func (b *bucket) take(now time.Time) bool {
	if !b.at.IsZero() {
		b.level = min(b.size, b.level+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
