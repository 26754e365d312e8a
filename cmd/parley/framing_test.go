package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"parley/internal/waittest"
)

// A request that says in two ways where it ends is refused, and its connection closed; all
// others are as they were.
func TestUnclearRequests(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		plainText(w, http.StatusOK, r.URL.Path+" "+string(body))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := newWebServer(t.Context(), echo, slog.New(slog.DiscardHandler))
	go func() { _ = web.Serve(framed{listener}) }() // Until it is closed.
	t.Cleanup(func() { _ = web.Close() })
	const (
		plain   = "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"
		sized   = "POST /sized HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
		chunked = "POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
		both    = "POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	)
	for name, test := range map[string]struct {
		sent string
		want []string // The beginning of each answer. Afterwards the connection is closed.
	}{
		"several": {plain + sized + plain + sized + chunked,
			[]string{"200 /plain", "200 /sized", "200 /plain", "200 /sized", "200 /chunked ab"}},
		"both": {both, []string{"400 {"}},
		"both, in other cases": {
			"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH:5\r\n\r\n0\r\n\r\n",
			[]string{"400 {"}},
		"both, bare line ends": {"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\r\n\r\n",
			[]string{"400 {"}},
		"folded": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 5\r\n\r\n12345", []string{"400 "}},
		"a long length": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + strings.Repeat("0", 50) + "5\r\n\r\n12345",
			[]string{"400 {"}},
		// What stands in a body is no header.
		"in a body": {"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 58\r\n\r\n" +
			"\r\n\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n12345" + chunked,
			[]string{"200 /body", "200 /chunked"}},
		"a long header": {
			"GET /long HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("Content-Length: 5", 50) + "\r\n\r\n" + chunked,
			[]string{"200 /long", "200 /chunked"}},
		// It is known before the first one has been answered, and nothing of it counts any more.
		"behind another one": {plain + both, []string{"400 {"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(waittest.Limit)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, test.sent); err != nil {
				t.Fatal(err)
			}
			answers := bufio.NewReader(conn)
			for _, want := range test.want {
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatalf("got %v, want %q", err, want)
				}
				body, err := io.ReadAll(resp.Body)
				if got := resp.Status[:4] + string(body); err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("got %.80q, %v, want %q", got, err, want)
				}
			}
			if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil {
				t.Errorf("got %.80q, %v behind them, want the connection closed", rest, err)
			}
		})
	}
}

// How what is sent is cut into reads makes no difference.
func TestFramingInPieces(t *testing.T) {
	t.Parallel()
	text := "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\n\nPOST / HTTP/1.1\r\n" +
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
	var f framing
	reader := iotest.OneByteReader(strings.NewReader(text))
	one := make([]byte, 1)
	for at := 1; ; at++ {
		n, err := reader.Read(one)
		if err != nil {
			t.Fatal("the last request was not found to be unclear")
		}
		if !f.follow(one[:n]) {
			if at != len(text) {
				t.Errorf("unclear after %d bytes, want %d", at, len(text))
			}
			return
		}
	}
}
