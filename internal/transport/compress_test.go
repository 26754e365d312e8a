package transport_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"parley/internal/transport"
)

// echoed is an operation whose answer holds a text.
func echoed(kind, text string) string {
	b, err := json.Marshal(map[string]any{"query": kind + `($text: String!) { echo(text: $text) }`,
		"variables": map[string]any{"text": text}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// noise is a text that does not become much shorter.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strconv.FormatUint(random.Uint64(), 36))
	}
	return b.String()[:n]
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	b := start(t)
	words := strings.Repeat("some words ", 200)
	for name, c := range map[string]struct {
		body       string
		header     []string
		compressed bool
		chunked    bool
	}{
		"a query":               {echoed("query", words), []string{"Accept-Encoding", "gzip, br"}, true, false},
		"a long query":          {echoed("query", noise(200_000)), []string{"Accept-Encoding", "gzip"}, true, true},
		"a short answer":        {echoed("query", "short"), []string{"Accept-Encoding", "gzip"}, false, false},
		"a mutation":            {echoed("mutation", words), []string{"Accept-Encoding", "gzip"}, false, false},
		"a client without":      {echoed("query", words), []string{"Accept-Encoding", "identity"}, false, false},
		"a client that refuses": {echoed("query", words), []string{"Accept-Encoding", "gzip;q=0, *"}, false, false},
		"a stream": {echoed("query", words), []string{"Accept-Encoding", "gzip", "Accept", "text/event-stream"},
			false, true},
	} {
		r := b.request(c.body, append(c.header, "Authorization", "Bearer "+goodToken)...)
		got := b.do(r)
		if compressed := got.Header.Get("Content-Encoding") == "gzip"; compressed != c.compressed {
			t.Errorf("%s: compressed is %t: %v", name, compressed, got.Header)
			continue
		}
		if !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("%s: no Vary: Accept-Encoding", name)
		}
		if chunked := got.ContentLength < 0; chunked != c.chunked {
			t.Errorf("%s: the length is %d", name, got.ContentLength)
		}
		text := got.text
		if c.compressed {
			plain, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all, err := io.ReadAll(plain)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text = string(all)
		}
		var sent struct{ Variables struct{ Text string } }
		if err := json.Unmarshal([]byte(c.body), &sent); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, fmt.Sprintf(`{"data":{"echo":%q}}`, sent.Variables.Text)) {
			t.Errorf("%s: got %.100s", name, text)
		}
	}
	if busy := b.server.Compressing(); busy != 0 {
		t.Errorf("%d writers were not given back", busy)
	}
}

// More answers at once than there are writers are sent as they are, and a client that goes
// away takes no writer with it.
func TestCompressorsAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t)
	giveBack := b.server.TakeCompressors()
	body := echoed("query", strings.Repeat("some words ", 200))
	got := b.do(b.request(body, "Accept-Encoding", "gzip", "Authorization", "Bearer "+goodToken))
	if got.Header.Get("Content-Encoding") != "" || got.StatusCode != http.StatusOK || got.ContentLength < 2000 {
		t.Errorf("without a writer: got %d %v", got.StatusCode, got.Header)
	}
	giveBack()
	r := b.request(echoed("query", noise(900_000)), "Accept-Encoding", "gzip", "Authorization", "Bearer "+goodToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // In the middle of it.
	eventually(t, "the writer is given back", func() bool { return b.server.Compressing() == 0 })
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"*": true, "*;q=0": false, "*, gzip;q=0": false, "gzip;q=x": false, "identity": false, "x-gzip": false,
		"deflate, br, zstd": false, "gzip;q=1, *;q=0": true,
	} {
		h := http.Header{}
		if header != "" {
			h.Set("Accept-Encoding", header)
		}
		if got := transport.AcceptsGzip(h); got != want {
			t.Errorf("%q: got %t, want %t", header, got, want)
		}
	}
}
