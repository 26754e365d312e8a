package hosts_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/internal/hosts"
)

func TestName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost": "localhost", "localhost:8080": "localhost", "LocalHost.:8080": "localhost",
		"127.0.0.1:1": "127.0.0.1", "[::1]": "::1", "[::1]:8080": "::1", "[2001:DB8::0:1]": "2001:db8::1",
		"chat.test": "chat.test", "my_app-1.test:65535": "my_app-1.test", "xn--bcher-kva.test": "xn--bcher-kva.test",
		"": "", ":8080": "", "::1": "", "[::1": "", "[::1]x": "", "[::1]:": "", "[::1%eth0]": "", "[127.0.0.1]": "",
		"[localhost]": "", "localhost:": "", "localhost:x": "", "localhost:123456": "", "a..b": "", ".test": "",
		".":              "",
		"user@localhost": "", "localhost/": "", "localhost evil": "", "localhost\x00": "", "bücher.test": "", "a,b": "",
		strings.Repeat("a", 64): "", strings.Repeat("a.", 200) + "test": "",
	} {
		if got, ok := hosts.Name(host); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t; want %q", host, got, ok, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"http://localhost:5173": "localhost", "HTTPS://Chat.Test": "chat.test", "http://[::1]:1": "::1",
		"null": "", "file://": "", "capacitor://localhost": "", "http://": "", "http:localhost": "", "localhost": "",
		"http://localhost/": "", "http://localhost@evil.example": "", "http://evil.example#localhost": "",
		"http://localhost, http://evil.example": "",
	} {
		if got, ok := hosts.Origin(origin); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t; want %q", origin, got, ok, want)
		}
	}
}

func TestLocalAndFixed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ local, fixed bool }{
		"localhost": {true, true}, "app.localhost": {true, false}, "127.0.0.1": {true, true}, "127.9.9.9": {true, true},
		"::1": {true, true}, "::ffff:127.0.0.1": {true, true}, "192.168.1.20": {false, true}, "2001:db8::1": {false,
			true},
		"parley": {false, true}, "localhost.evil.test": {false, false}, "127.0.0.1.evil.test": {false, false},
		"evil.test": {false, false}, "127.1": {false, false}, "": {false, true}, "notlocalhost": {false, true},
	} {
		if local, fixed := hosts.Local(name), hosts.Fixed(name); local != want.local || fixed != want.fixed {
			t.Errorf("%q: local %t, fixed %t; want %v", name, local, fixed, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	p, err := hosts.ParsePatterns([]string{"*.test", "192.168.1.20", "Chat.Local", "fe80::1", "[fd00::2]",
		"*.dev.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.String(), "192.168.1.20,chat.local,fe80::1,fd00::2,*.test,*.dev.example.com"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, want := range map[string]bool{
		"a.test": true, "a.b.test": true, "192.168.1.20": true, "chat.local": true, "fe80::1": true, "fd00::2": true,
		"x.dev.example.com": true,
		"test":              false, ".test": false, "atest": false, "a.test.evil.example": false, "192.168.1.2": false,
		"192.168.1.201": false, "x.chat.local": false, "dev.example.com": false, "localhost": false, "": false,
	} {
		if got := p.Match(name); got != want {
			t.Errorf("%q matches: %t, want %t", name, got, want)
		}
	}
	if !(hosts.Patterns{}).Empty() || p.Empty() || (hosts.Patterns{}).Match("") {
		t.Error("no pattern is empty, and these are not")
	}
	for text, want := range map[string]string{
		"*":                      `"*" would let any page`,
		"*.":                     "would let any page",
		"*.com":                  "anybody can get one",
		"*.co.uk":                "anybody can get one",
		"*.github.io":            `such as *.chat.github.io`,
		"http://chat.local":      "is a URL; write the host alone",
		"chat.local:8080":        "has a port; every port is allowed",
		"[::1]:80":               "has a port; every port is allowed",
		"a.*.test":               "has a * that does not stand",
		"192.168.1.*":            "has a * that does not stand",
		"*.192.168.1.20":         "stands before an address",
		"192.168.1.0/24":         "is neither a name nor one address",
		"bücher.test":            "xn--",
		"a b":                    "is not a host",
		"[::1":                   "is not a host",
		strings.Repeat("a", 999): `…`,
	} {
		p, err := hosts.ParsePatterns([]string{"fine.test", text})
		if err == nil || !strings.Contains(err.Error(), want) || !p.Empty() {
			t.Errorf("%q: got %v, %v; want an error with %q", text, p, err, want)
		}
	}
}

// header makes headers of names and values.
func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestTrail(t *testing.T) {
	t.Parallel()
	open, err := hosts.ParsePatterns([]string{"*.test", "192.168.1.20"})
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		reason, opened hosts.Reason // Without a pattern, and with some.
		blame          string       // Without a pattern.
		local          bool
	}
	stays := outcome{local: true}
	outside := func(header string) outcome { return outcome{hosts.FromOutside, hosts.FromOutside, header, false} }
	for name, test := range map[string]struct {
		header http.Header
		want   outcome
	}{
		"nothing": {header("Host", "x", "Accept", "*/*", "X-Forward", "1", "Via", "1.1 x"), stays},
		"Next's own": {header("X-Forwarded-For", "::1, 127.0.0.1", "X-Forwarded-Host", "localhost:3000",
			"X-Forwarded-Port", "3000,3000", "X-Forwarded-Proto", "http,http"), stays},
		"mapped":   {header("X-Forwarded-For", "::ffff:127.0.0.1"), stays},
		"RFC 7239": {header("Forwarded", `for="[::1]:4711";proto=http;host=app.localhost;by=127.0.0.1`), stays},
		"the LAN": {header("X-Forwarded-For", "192.168.1.33", "X-Forwarded-Host", "192.168.1.20:3000"),
			outcome{hosts.FromNetwork, hosts.Stays, "X-Forwarded-For", false}},
		"the LAN, another name": {header("X-Forwarded-For", "fe80::1%eth0", "X-Forwarded-Host", "evil.example"),
			outcome{hosts.FromNetwork, hosts.UnderName, "X-Forwarded-For", false}},
		"a name": {header("X-Forwarded-For", "127.0.0.1", "X-Forwarded-Host", "chat.test"),
			outcome{hosts.UnderName, hosts.Stays, "X-Forwarded-Host", true}},
		"a name in Forwarded": {header("Forwarded", "for=127.0.0.1;host=evil.example"),
			outcome{hosts.UnderName, hosts.UnderName, "Forwarded", true}},
		"no client": {header("X-Forwarded-Proto", "https"),
			outcome{hosts.FromNobody, hosts.FromNobody, "X-Forwarded-Proto", false}},
		"no client, a local name": {header("X-Forwarded-Host", "localhost"),
			outcome{hosts.FromNobody, hosts.FromNobody, "X-Forwarded-Host", false}},
		"unknown kinds": {header("X-Forwarded-Email", "a@b"), outcome{hosts.FromNobody, hosts.FromNobody,
			"X-Forwarded-Email", false}},
		"from outside":        {header("X-Forwarded-For", "203.0.113.9"), outside("X-Forwarded-For")},
		"a liar from outside": {header("X-Forwarded-For", "127.0.0.1, 203.0.113.9"), outside("X-Forwarded-For")},
		"in a second header": {header("X-Forwarded-For", "127.0.0.1", "X-Forwarded-For", "203.0.113.9"),
			outside("X-Forwarded-For")},
		"a carrier's network": {header("X-Forwarded-For", "100.64.0.1"), outside("X-Forwarded-For")},
		"X-Real-IP": {header("X-Real-IP", "203.0.113.9", "X-Forwarded-For", "127.0.0.1"),
			outside("X-Real-Ip")},
		"a tunnel": {header("CF-Connecting-IP", "2001:db8::1", "X-Forwarded-For", "127.0.0.1"),
			outside("Cf-Connecting-Ip")},
		"Forwarded, outside":    {header("Forwarded", "for=127.0.0.1, for=203.0.113.9"), outside("Forwarded")},
		"hidden":                {header("Forwarded", "for=_hidden"), outside("Forwarded")},
		"unknown":               {header("X-Forwarded-For", "unknown"), outside("X-Forwarded-For")},
		"empty":                 {header("X-Forwarded-For", ""), outside("X-Forwarded-For")},
		"nonsense in Forwarded": {header("Forwarded", "secret;;"), outside("Forwarded")},
		"endless": {header("X-Forwarded-Proto", strings.Repeat("http,", 1000), "X-Forwarded-For", "127.0.0.1"),
			outcome{hosts.FromOutside, hosts.FromOutside, "", false}},
	} {
		trail := hosts.ReadTrail(test.header)
		said, reason := trail.Leaves(hosts.Patterns{})
		_, opened := trail.Leaves(open)
		if test.want.blame == "" {
			said.Header = ""
		}
		if got := (outcome{reason, opened, said.Header, trail.Local()}); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"chat.local": `"chat.local"`, "a\r\nb\"\x00ü\u202e": `"a\r\nb\"\x00\u00fc\u202e"`,
		strings.Repeat("a", 1000): `"` + strings.Repeat("a", 100) + `"…`,
	} {
		if got := hosts.Quote(text); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzNames: whatever a stranger writes, a host is read as one that means the same, only what
// is this machine is local, and nothing is allowed that does not look it.
func FuzzNames(f *testing.F) {
	for _, host := range []string{
		"localhost:8080", "[::1]:1", "127.0.0.1", "evil.test", "localhost.evil.test", "[::ffff:7f00:1]",
		"http://a.test",
		"null", "::1", "[::1%lo]", "a..test", "LOCALHOST.", "127.1", "\x00.test",
	} {
		f.Add(host)
	}
	allowed, err := hosts.ParsePatterns([]string{"*.test", "192.168.1.20"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if origin, ok := hosts.Origin(host); ok {
			_, rest, _ := strings.Cut(host, "://")
			if name, ok := hosts.Name(rest); !ok || name != origin {
				t.Errorf("the origin %q is of %q, and its host is %q, %t", host, origin, name, ok)
			}
		}
		if q := hosts.Quote(host); len(q) > 410 || !utf8.ValidString(q) || strings.ContainsAny(q, "\r\n\x00") {
			t.Errorf("%q is shown as %s", host, q)
		}
		name, ok := hosts.Name(host)
		if !ok {
			if name != "" {
				t.Errorf("%q: got %q although it is none", host, name)
			}
			return
		}
		again, ok := hosts.Name(strings.ReplaceAll("["+name+"]", "[]", ""))
		if addr, err := netip.ParseAddr(name); err != nil || addr.Is4() {
			again, ok = hosts.Name(name)
		}
		if !ok || again != name {
			t.Errorf("%q is %q, which is %q, %t", host, name, again, ok)
		}
		if name != strings.ToLower(name) || strings.ContainsAny(name, "[]/@\\ \t%,") {
			t.Errorf("%q is %q", host, name)
		}
		addr, err := netip.ParseAddr(name)
		local := name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && addr.Unmap().IsLoopback()
		if hosts.Local(name) != local {
			t.Errorf("%q is local: %t", name, !local)
		}
		if allowed.Match(name) && name != "192.168.1.20" && (!strings.HasSuffix(name, ".test") || err == nil) {
			t.Errorf("%q is allowed", name)
		}
	})
}

// FuzzTrail: a trail that stays at home has only clients there, whatever else it says, and one
// more client from outside always shows.
func FuzzTrail(f *testing.F) {
	for _, s := range [][3]string{
		{"127.0.0.1", "for=127.0.0.1", "localhost"}, {"203.0.113.9", `for="[2001:db8::1]:1"`, "evil.test"},
		{"::1,127.0.0.1:80", `for="127.0.0.1, for=1.2.3.4"`, "a,b"}, {"", ";", "\x00"}, {"unknown", "host=x;by=y", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	allowed, err := hosts.ParsePatterns([]string{"*.test"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, forwardedFor, forwarded, host string) {
		h := header("X-Forwarded-For", forwardedFor, "Forwarded", forwarded, "X-Forwarded-Host", host)
		trail := hosts.ReadTrail(h)
		if n := len(trail.Clients) + len(trail.Hosts) + len(trail.Others); n > 64 {
			t.Errorf("%d entries are held", n)
		}
		_, reason := trail.Leaves(hosts.Patterns{})
		_, opened := trail.Leaves(allowed)
		if reason == hosts.Stays && (!trail.Local() || opened != hosts.Stays) {
			t.Errorf("%v stays at home, and is local: %t, and with names: %v", h, trail.Local(), opened)
		}
		if reason == hosts.Stays {
			for part := range strings.SplitSeq(forwardedFor, ",") {
				if addr, ok := hosts.ParseHop(part); !ok || !addr.IsLoopback() {
					t.Errorf("%v stays at home", h)
				}
			}
		}
		h.Add("X-Real-IP", "203.0.113.9")
		trail = hosts.ReadTrail(h)
		if _, reason := trail.Leaves(allowed); reason != hosts.FromOutside || trail.Local() {
			t.Errorf("%v with a client from outside: %v", h, reason)
		}
	})
}
