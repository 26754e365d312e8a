package hosts

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxSaid is how many entries of the headers of proxies are read. A request with more of
// them counts as one that cannot be read.
const maxSaid = 64

// Said is an entry of a header that a proxy writes.
type Said struct {
	Header string
	Value  string // As it stood there.

	addr netip.Addr // Of a client; invalid when it cannot be read.
	name string     // Of a host, as Name returns it; "" when it cannot be read.
}

// Trail is what proxies have written into a request about where it came from: what the
// first of them said, and all others. Anybody can write such headers, so a trail can only
// speak against a request.
type Trail struct {
	// Clients are the addresses that a proxy was asked from, and Hosts the names it was
	// asked under.
	Clients, Hosts []Said
	// Others are headers of a proxy that say neither.
	Others []Said
	// endless is whether there was more than is read.
	endless bool
}

// clientHeaders are those in which proxies and tunnels write the address of a client,
// beside X-Forwarded-For and Forwarded.
var clientHeaders = []string{
	"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fly-Client-Ip",
	"Fastly-Client-Ip", "X-Envoy-External-Address", "X-Original-Forwarded-For",
}

const forwardedPrefix = "X-Forwarded-"

// ReadTrail reads the trail of a request's headers.
func ReadTrail(h http.Header) Trail {
	var t Trail
	for name, values := range h {
		switch {
		case name == "Forwarded":
			for _, value := range values {
				t.readForwarded(value)
			}
		case name == forwardedPrefix+"For", slices.Contains(clientHeaders, name):
			t.eachIn(name, values, t.addClient)
		case name == forwardedPrefix+"Host":
			t.eachIn(name, values, t.addHost)
		case strings.HasPrefix(name, forwardedPrefix):
			t.eachIn(name, values, t.addOther)
		}
	}
	// The order of a map is none.
	for _, said := range [][]Said{t.Clients, t.Hosts, t.Others} {
		slices.SortStableFunc(said, func(a, b Said) int { return strings.Compare(a.Header, b.Header) })
	}
	return t
}

// eachIn adds the entries of a list over several headers.
func (t *Trail) eachIn(header string, values []string, add func(header, value string)) {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			add(header, strings.TrimSpace(part))
		}
	}
}

// full reports whether no more is read, and notes that there was more.
func (t *Trail) full() bool {
	if len(t.Clients)+len(t.Hosts)+len(t.Others) < maxSaid {
		return false
	}
	t.endless = true
	return true
}

func (t *Trail) addClient(header, value string) {
	if !t.full() {
		addr, _ := ParseHop(value) // The zero Addr is nobody's.
		t.Clients = append(t.Clients, Said{Header: header, Value: value, addr: addr})
	}
}

func (t *Trail) addHost(header, value string) {
	if !t.full() {
		name, _ := Name(value) // The empty name matches nothing.
		t.Hosts = append(t.Hosts, Said{Header: header, Value: value, name: name})
	}
}

func (t *Trail) addOther(header, value string) {
	if !t.full() {
		t.Others = append(t.Others, Said{Header: header, Value: value})
	}
}

// readForwarded reads a Forwarded header (RFC 7239): for=192.0.2.1;host=chat.local, for=…
// Commas and semicolons in quotes are not told apart: no address and no host has one, so
// what is cut there cannot be read, and is nobody's.
func (t *Trail) readForwarded(value string) {
	const header = "Forwarded"
	for element := range strings.SplitSeq(value, ",") {
		for pair := range strings.SplitSeq(element, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.TrimSpace(value)
			if inside, quoted := strings.CutPrefix(value, `"`); quoted {
				value = strings.TrimSuffix(inside, `"`)
			}
			switch {
			case ok && strings.EqualFold(name, "for"):
				t.addClient(header, value)
			case ok && strings.EqualFold(name, "host"):
				t.addHost(header, value)
			case ok && (strings.EqualFold(name, "by") || strings.EqualFold(name, "proto")):
				t.addOther(header, value)
			default:
				t.addClient(header, strings.TrimSpace(pair)) // Not to be understood, so nobody's.
			}
		}
	}
}

// None reports whether no proxy has written anything.
func (t Trail) None() bool { return len(t.Clients)+len(t.Hosts)+len(t.Others) == 0 }

// Reason is why a trail does not stay at home.
type Reason int

// The reasons, the worst first.
const (
	// Stays: it does stay.
	Stays Reason = iota
	// FromOutside: a client is none of this machine nor of a private network, or cannot be
	// told.
	FromOutside
	// FromNobody: there is a proxy, and it says nothing of its client.
	FromNobody
	// FromNetwork: a client is of a private network, and no name is allowed.
	FromNetwork
	// UnderName: the proxy was asked under a name that is neither local nor allowed.
	UnderName
)

// Leaves returns what of a trail does not stay at home, and why. Everything stays there if
// each client is this machine, or, where the operator allows names, of a private network; and
// if each name is local or allowed.
func (t Trail) Leaves(allowed Patterns) (Said, Reason) {
	if t.None() {
		return Said{}, Stays
	}
	network := -1
	for i, c := range t.Clients {
		switch {
		case c.addr.IsLoopback():
		case c.addr.IsPrivate(), c.addr.IsLinkLocalUnicast():
			network = i
		default:
			return c, FromOutside
		}
	}
	if t.endless {
		return slices.Concat(t.Clients, t.Hosts, t.Others)[0], FromOutside
	}
	if len(t.Clients) == 0 {
		return slices.Concat(t.Hosts, t.Others)[0], FromNobody
	}
	if network >= 0 && allowed.Empty() {
		return t.Clients[network], FromNetwork
	}
	for _, h := range t.Hosts {
		if !Local(h.name) && !allowed.Match(h.name) {
			return h, UnderName
		}
	}
	return Said{}, Stays
}

// Local reports whether every client that proxies speak of is this machine. It is true when
// there are none.
func (t Trail) Local() bool {
	return !t.endless && !slices.ContainsFunc(t.Clients, func(c Said) bool { return !c.addr.IsLoopback() }) &&
		(t.None() || len(t.Clients) > 0)
}

// maxHop bounds an address with brackets, a zone and a port.
const maxHop = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%interface]:65535")

// ParseHop reads an address as proxies write it: 192.0.2.1, 192.0.2.1:4711, 2001:db8::1,
// [2001:db8::1] or [2001:db8::1]:4711.
func ParseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxHop {
		return netip.Addr{}, false
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap(), true
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			text = inside
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil
}
