package auth

import (
	"encoding/hex"
	"slices"
	"strings"
)

// fingerprintBytes keeps two keys apart, and is far too short to be used as one.
const fingerprintBytes = 8

// Fingerprints says which keys these are, for other replicas to compare: kid:fingerprint,
// comma separated, the key that signs first.
//
// A fingerprint is derived from the secret as the keys are, under a purpose of its own, and
// cut. It tells nothing of the keys that sign. It lets one try out guesses of the secret, as
// any access token does that a user holds: a secret is random and has 32 bytes at least.
func (k Keyring) Fingerprints() string {
	list := make([]string, 0, maxKeys)
	for _, id := range k.KeyIDs() {
		list = append(list, id+":"+hex.EncodeToString(k.keys.byID[id].fingerprint[:fingerprintBytes]))
	}
	return strings.Join(list, ",")
}

// Agreement is how far two replicas take each other's tokens.
type Agreement int

const (
	// Unknown: one of them does not say which keys it has.
	Unknown Agreement = iota
	// Agree: each takes what the other signs.
	Agree
	// HalfAgree: they share a key, but one of them refuses what the other signs now.
	HalfAgree
	// Disagree: they share no key. The users of one are nobody at the other.
	Disagree
)

// CompareKeys compares two results of Fingerprints.
func CompareKeys(a, b string) Agreement {
	if a == "" || b == "" {
		return Unknown
	}
	ours, theirs := strings.Split(a, ","), strings.Split(b, ",")
	switch {
	case slices.Contains(theirs, ours[0]) && slices.Contains(ours, theirs[0]):
		return Agree
	case slices.ContainsFunc(ours, func(key string) bool { return slices.Contains(theirs, key) }):
		return HalfAgree
	}
	return Disagree
}
