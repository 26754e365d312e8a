package hosts

import (
	"net/netip"
	"strings"
)

// maxHost bounds a host with its port: a DNS name has at most 253 characters.
const maxHost = 253 + len(":65535")

// Name returns the name or the address in a host as the headers of a request have it, with
// or without a port: in lower case, without brackets and the final dot. It is false for
// anything that is no host.
func Name(host string) (string, bool) {
	if len(host) > maxHost {
		return "", false
	}
	if inside, ok := strings.CutPrefix(host, "["); ok {
		address, port, ok := strings.Cut(inside, "]")
		addr, err := netip.ParseAddr(address)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" || port != "" && !isPort(port) {
			return "", false
		}
		return addr.String(), true
	}
	if at := strings.IndexByte(host, ':'); at >= 0 {
		if !isPort(host[at:]) {
			return "", false
		}
		host = host[:at]
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if !isName(host) {
		return "", false
	}
	return host, true
}

// isPort reports whether text is a colon and a port.
func isPort(text string) bool {
	digits, ok := strings.CutPrefix(text, ":")
	return ok && len(digits) >= 1 && len(digits) <= 5 && strings.Trim(digits, "0123456789") == ""
}

// isName reports whether text, in lower case, is made of labels that a host may have. Some
// container engines give names with an underscore.
func isName(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Origin returns the host of a web page's origin, as Name does. It is false for an origin
// that is none of a web server's: null, file://, the schemes of apps.
func Origin(origin string) (string, bool) {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	return Name(host)
}

// Local reports whether a name, as Name returns it, means this machine whatever DNS says.
func Local(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// Fixed reports whether nobody outside the network can make a name, as Name returns it,
// point at a machine of theirs or ours: it is an address, or has no dot.
func Fixed(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return !strings.Contains(name, ".")
}
