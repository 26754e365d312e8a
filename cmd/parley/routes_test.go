package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/waittest"
)

// A body that never comes does not keep an answer back, on a route that reads none.
func TestBoundBodies(t *testing.T) {
	t.Parallel()
	health := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok\n") })
	web := httptest.NewServer(boundBodies(health, 50*time.Millisecond))
	defer web.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // The server ends it.
	if err := conn.SetDeadline(time.Now().Add(waittest.Limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("got %q, %v; want the answer, and the connection ended", answer, err)
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for name, test := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"nobody between":      {"192.0.2.1:1", nil, "192.0.2.1"},
		"a liar":              {"192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		"a proxy":             {"10.0.0.1:1", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		"two proxies":         {"10.0.0.1:1", []string{"198.51.100.1,192.0.2.7", "10.9.9.9"}, "192.0.2.7"},
		"a port":              {"10.0.0.1:1", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		"IPv6":                {"[2001:db8:1::1]:1", []string{"2001:db8:2::1"}, "2001:db8:2::1"},
		"IPv6 in brackets":    {"10.0.0.1:1", []string{"[2001:db8:2::1]"}, "2001:db8:2::1"},
		"IPv6 with a port":    {"10.0.0.1:1", []string{"192.0.2.7,[2001:db8:2::1]:4711"}, "2001:db8:2::1"},
		"IPv4 in IPv6":        {"[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"a proxy with a port": {"10.0.0.1:1", []string{"192.0.2.7, 10.0.0.2:80"}, "192.0.2.7"},
		"nonsense":            {"10.0.0.1:1", []string{"192.0.2.7, unknown"}, "10.0.0.1"},
		"nothing":             {"10.0.0.1:1", []string{""}, "10.0.0.1"},
		"half a bracket":      {"10.0.0.1:1", []string{"[2001:db8:2::1"}, "10.0.0.1"},
		"more than anyone has": {"10.0.0.1:1",
			[]string{"192.0.2.7," + strings.Repeat("10.0.0.3,", 40) + "10.0.0.2"}, "10.0.0.3"},
		"a socket of this host": {"@", []string{"192.0.2.7"}, "invalid IP"},
	} {
		if got := clientAddr(test.remote, test.forwarded, trusted); got.String() != test.want {
			t.Errorf("%s: got %v, want %s", name, got, test.want)
		}
	}
}

// A long list of hops costs nothing.
func TestClientAddrAllocations(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, list := range []string{
		strings.Repeat("10.0.0.3,", 7000), strings.Repeat(",", 60000), strings.Repeat("1", 60000),
	} {
		forwarded := []string{list, list}
		if n := testing.AllocsPerRun(10, func() { clientAddr("10.0.0.1:1", forwarded, trusted) }); n > 4 {
			t.Errorf("%v allocations for %.20s…, want next to none", n, list)
		}
	}
}

func BenchmarkClientAddr(b *testing.B) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	forwarded := []string{strings.Repeat("10.0.0.3,", 7000)}
	b.ReportAllocs()
	for b.Loop() {
		clientAddr("10.0.0.1:1", forwarded, trusted)
	}
}
