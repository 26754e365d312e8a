package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Patterns are names that an operator allows: chat.local, an address, or *.test for all
// names below test. The zero value allows none.
type Patterns struct {
	exact []string // As Name returns them.
	below []string // With the dot before them.
}

// Empty reports whether no name is allowed.
func (p Patterns) Empty() bool { return len(p.exact)+len(p.below) == 0 }

// String returns the patterns, separated by commas.
func (p Patterns) String() string {
	all := slices.Clone(p.exact)
	for _, suffix := range p.below {
		all = append(all, "*"+suffix)
	}
	return strings.Join(all, ",")
}

// Match reports whether a name, as Name returns it, is one of those that are allowed.
func (p Patterns) Match(name string) bool {
	return slices.Contains(p.exact, name) || slices.ContainsFunc(p.below, func(suffix string) bool {
		return len(name) > len(suffix) && strings.HasSuffix(name, suffix)
	})
}

// ParsePatterns reads patterns. The error quotes what is wrong with one of them.
func ParsePatterns(list []string) (Patterns, error) {
	var p Patterns
	for _, text := range list {
		suffix, wild := strings.CutPrefix(text, "*.")
		switch {
		case text == "*" || text == "*.":
			return Patterns{}, fmt.Errorf("%s would let any page point its own name at this server and call it; "+
				"list the names", Quote(text))
		case strings.Contains(suffix, "://"):
			return Patterns{}, fmt.Errorf("%s is a URL; write the host alone, such as chat.local", Quote(text))
		case strings.Contains(suffix, "*"):
			return Patterns{}, fmt.Errorf("%s has a * that does not stand for the first labels, as in *.test", Quote(text))
		}
		name, err := patternName(suffix)
		if err != nil {
			return Patterns{}, fmt.Errorf("%s %w", Quote(text), err)
		}
		if !wild {
			p.exact = append(p.exact, name)
			continue
		}
		if _, err := netip.ParseAddr(name); err == nil {
			return Patterns{}, fmt.Errorf("%s stands before an address, which has no names below it", Quote(text))
		}
		if registry(name) {
			return Patterns{}, fmt.Errorf("%s holds the names of strangers: anybody can get one; "+
				"write your own, such as *.chat.%s", Quote(text), name)
		}
		p.below = append(p.below, "."+name)
	}
	return p, nil
}

func patternName(text string) (string, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() && addr.Zone() == "" {
		return addr.String(), nil // Without brackets, as people write it.
	}
	name, ok := Name(text)
	switch {
	case !ok && strings.Contains(text, "/"):
		return "", errors.New("is neither a name nor one address")
	case !ok:
		return "", errors.New("is not a host; names stand in ASCII (xn--…), such as chat.local")
	case strings.HasPrefix(text, "["), !strings.Contains(text, ":"):
		if strings.HasPrefix(text, "[") && !strings.HasSuffix(text, "]") {
			return "", errors.New("has a port; every port is allowed, so write the host alone")
		}
		return name, nil
	}
	return "", errors.New("has a port; every port is allowed, so write the host alone")
}

// registry reports whether names below this one are given to anybody: com, co.uk, github.io.
// The names that are for networks at home, such as test and local, are none of them.
func registry(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	// A suffix that is not in the list is the last label, whatever it is.
	return suffix == name && (icann || strings.Contains(suffix, "."))
}

// Equal reports whether two lists of patterns are the same.
func (p Patterns) Equal(q Patterns) bool {
	return slices.Equal(p.exact, q.exact) && slices.Equal(p.below, q.below)
}
