package upstream

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"parley/internal/reply"
)

var errCompressed = errors.New("the answer is compressed in a way that is not known")

// inflate makes the body of an answer readable that is compressed although nobody asked for it,
// as behind some proxies. Whoever reads it bounds what comes out. Nothing is read before the
// first Read: a stream may be silent for long.
func inflate(resp *http.Response) error {
	encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	switch encoding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip", "deflate":
	default:
		return &reply.Error{Code: reply.CodeProtocol, Status: resp.StatusCode, Err: errCompressed}
	}
	resp.Body = &inflated{body: resp.Body, deflate: encoding == "deflate"}
	resp.ContentLength = -1
	return nil
}

// inflated reads a compressed body.
type inflated struct {
	body    io.ReadCloser
	deflate bool
	plain   io.Reader // nil before the first Read
}

// Read implements io.Reader.
func (r *inflated) Read(p []byte) (int, error) {
	if r.plain == nil {
		plain, err := r.open(bufio.NewReader(r.body))
		if err != nil {
			return 0, compressionError(err)
		}
		r.plain = plain
	}
	n, err := r.plain.Read(p)
	return n, compressionError(err)
}

func (r *inflated) open(in *bufio.Reader) (io.Reader, error) {
	head, err := in.Peek(2)
	if len(head) < 2 {
		if len(head) == 0 && errors.Is(err, io.EOF) {
			return in, nil // An empty answer.
		}
		return nil, io.ErrUnexpectedEOF
	}
	switch {
	case head[0] == 0x1f && head[1] == 0x8b:
		return gzip.NewReader(in)
	case !r.deflate:
		return in, nil // A proxy has taken the compression away, and left the header.
	case head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return zlib.NewReader(in)
	default:
		return flate.NewReader(in), nil
	}
}

// Close implements io.Closer.
func (r *inflated) Close() error { return r.body.Close() }

// errNotCompressed is a body that is not what its header says.
var errNotCompressed = errors.New("the answer is not compressed as its header says")

func compressionError(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) {
		return &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK,
			Err: fmt.Errorf("%w: %w", errNotCompressed, err)}
	}
	return err
}
