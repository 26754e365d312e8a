package upstream_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"parley/internal/reply"
)

// compressed is an answer that nobody asked to be compressed.
func compressed(encoding string, status int, pack func(string) []byte, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", encoding)
		w.WriteHeader(status)
		for _, piece := range pieces {
			_, _ = w.Write(pack(piece))
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func zipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s)) // Into memory.
	_ = w.Close()
	return b.Bytes()
}

func zlibbed(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s)) // Into memory.
	_ = w.Close()
	return b.Bytes()
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed) // A level that there is.
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

// Answers are compressed although nobody asks for it.
func TestCompressed(t *testing.T) {
	t.Parallel()
	whole := good + stop + done
	bomb, long := strings.Repeat("x", 4<<20), strings.Repeat("x", 33<<20)
	runAnswers(t, []answerTest{
		{name: "gzip", from: "case gzip", serve: compressed("gzip", 200, zipped, whole), text: "Hello", finish: "STOP"},
		{name: "several members", serve: compressed("x-gzip", 200, zipped, good, stop, done), text: "Hello",
			finish: "STOP"},
		{name: "zlib", serve: compressed("deflate", 200, zlibbed, whole), text: "Hello", finish: "STOP"},
		{name: "raw deflate", serve: compressed("deflate", 200, deflated, whole), text: "Hello", finish: "STOP"},
		{name: "header alone", serve: compressed("gzip", 200, func(s string) []byte { return []byte(s) }, whole),
			text: "Hello", finish: "STOP"},
		{name: "document", serve: compressed("gzip", 200, zipped,
			`{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}`), text: "Hello", finish: "STOP"},
		{name: "error", serve: compressed("gzip", 400, zipped, `{"error":{"code":"context_length_exceeded"}}`),
			code: reply.CodeContextTooLong},
		{name: "error in a way that is not known", serve: compressed("br", 429, zipped, "x"),
			code: reply.CodeRateLimited},
		{name: "in a way that is not known", serve: compressed("br", 200, zipped, whole), code: reply.CodeProtocol},
		{name: "cut", serve: compressed("gzip", 200, func(s string) []byte { return zipped(s)[:40] }, good+good+good),
			code: reply.CodeTruncated},
		{name: "damaged", serve: compressed("gzip", 200, func(s string) []byte {
			b := zipped(s)
			b[2], b[12] = 8, 0xff
			return b
		}, whole), code: reply.CodeProtocol},
		{name: "empty", serve: compressed("gzip", 200, func(string) []byte { return nil }, ""),
			code: reply.CodeProtocol},
		{name: "bomb", serve: compressed("gzip", 200, zipped, bomb), code: reply.CodeLimit},
		{name: "bomb in an image", serve: compressed("gzip", 200, zipped, `data: {"image":"`+long),
			code: reply.CodeLimit},
		{name: "bomb of an error", serve: compressed("gzip", 500, zipped, bomb), code: reply.CodeUnavailable},
	})
	t.Run("models", func(t *testing.T) {
		t.Parallel()
		c := client(t, once(serve(t, compressed("gzip", 200, zipped, `{"data":[{"id":"river"}]}`))))
		if list, err := c.Models(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("got %v, %v, want one model", list, err)
		}
		if found, err := c.Check(t.Context()); err != nil || len(found.Models) != 1 {
			t.Errorf("at the start: got %v, %v, want one model", found, err)
		}
	})
}

// A large image costs as much memory as a small one, and one without an end is too much.
func TestLargeFrameMemory(t *testing.T) {
	piece := []byte(strings.Repeat("A", 1<<16))
	image := func(bytes int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body(good+
				`data: {"choices":[{"index":0,"delta":{"images":[{"image_url":{"url":"data:image/png;base64,`)(w, r)
			for range bytes >> 16 {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
			_, _ = w.Write([]byte(`"}}]}}]}` + "\n\n" + stop + done)) // The client may be gone.
		}
	}
	grown := func(size int) (uint64, reply.Result, error) {
		c := client(t, once(serve(t, image(size))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, result, err := generate(t, c)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, result, err
	}
	_, _, _ = grown(1 << 16) // What all share is there.
	bytes, result, err := grown(16 << 20)
	if err != nil || len(result.Omitted) != 1 || result.FinishReason != reply.FinishStop {
		t.Errorf("got %+v, %v, want a reply without its image", result, err)
	}
	t.Logf("%d KiB were allocated for 16 MiB", bytes>>10)
	if bytes > 2<<20 {
		t.Errorf("%d KiB were allocated, want at most 2 MiB", bytes>>10)
	}
	_, _, err = grown(40 << 20)
	wantCode(t, err, reply.CodeLimit)
}
