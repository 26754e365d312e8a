// Package hosts reads the names under which a server is asked: the host and the origin of a
// request, what proxies write about where it came from, and the operator's patterns of names
// that are welcome. It decides nothing about a request; whoever asks does.
//
// All it reads was written by strangers. What cannot be read is never local and matches no
// pattern.
//
// Its one invariant: a name is local only if no DNS server outside this machine has a say in
// where it points.
//
// names.go reads hosts and origins, patterns.go the operator's list, trail.go the headers of
// proxies, quote.go makes what strangers wrote fit to be shown.
package hosts
