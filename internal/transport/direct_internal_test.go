package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is a TCP connection of which nobody reads the other end yet.
func wire(t *testing.T) (server *net.TCPConn, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = conn.(*net.TCPConn)
	if err := server.SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	return server, client
}

func framesOf(conn net.Conn, write time.Duration) *frames {
	s := &Server{ledger: &ledger{}, timing: timing{write: write, grace: write}}
	return &frames{Conn: conn, paced: pacedConn{conn, s}}
}

// frameOf is a frame with a text, made as sendDirect makes it.
func frameOf(text []byte) []byte { return headed(append(make([]byte, frameHead), text...)) }

// texts reads the texts of frames until the connection ends.
func texts(t *testing.T, conn io.Reader) (list []string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return list
		}
		n := int(head[1])
		if n == 126 {
			var size [2]byte
			_, _ = io.ReadFull(in, size[:]) // A short read shows in the text.
			n = int(binary.BigEndian.Uint16(size[:]))
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(in, text); err != nil || head[0] != wholeText {
			t.Errorf("a frame begins with %x and ends with %v", head, err)
			return list
		}
		list = append(list, string(text))
	}
}

// TestWritesThatDoNotWait: a connection takes what it has room for, and each frame comes whole and
// in its place, whether somebody waited for it or not.
func TestWritesThatDoNotWait(t *testing.T) {
	t.Parallel()
	conn, client := wire(t)
	f := framesOf(conn, time.Minute)
	r := rand.New(rand.NewPCG(1, 2))
	text := func() []byte { return bytes.Repeat([]byte{byte('a' + r.IntN(26))}, 1+r.IntN(3000)) }
	var want []string
	for { // Until the connection is full, and no goroutine writes.
		p := text()
		if !f.writeNow(frameOf(p)) {
			break
		}
		want = append(want, string(p))
	}
	var got []string
	var reading sync.WaitGroup
	reading.Go(func() { got = texts(t, client) })
	refused := 0
	for range 2000 {
		p := text()
		if !f.writeNow(frameOf(p)) {
			refused++
			w := bufio.NewWriterSize(f, writeBuffer) // As the library does.
			if _, err := w.Write(frameOf(p)); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, string(p))
	}
	f.mu.Lock() // Whoever ends a frame has done so.
	_ = conn.CloseWrite()
	f.mu.Unlock()
	reading.Wait()
	if len(got) != len(want) {
		t.Fatalf("%d frames came, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("frame %d has %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
	t.Logf("%d of 2000 frames had to wait", refused)
}

// TestAFrameThatHasBegunEnds, or its connection does.
func TestAFrameThatHasBegunEnds(t *testing.T) {
	t.Parallel()
	conn, _ := wire(t)
	f := framesOf(conn, 50*time.Millisecond)
	f.mu.Lock()
	f.writeRest(make([]byte, 32<<20)) // More than any connection takes.
	if !f.mu.TryLock() {
		t.Error("whoever gave the rest up keeps others waiting")
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("a client that does not read kept its connection")
	}
}

// TestNothingComesBehindACloseFrame.
func TestNothingComesBehindACloseFrame(t *testing.T) {
	t.Parallel()
	conn, _ := wire(t)
	f := framesOf(conn, time.Minute)
	if !f.writeNow(frameOf([]byte("before"))) {
		t.Fatal("nothing was written")
	}
	if _, err := f.Write([]byte{0x88, 2, 3, 232}); err != nil {
		t.Fatal(err)
	}
	if f.writeNow(frameOf([]byte("behind"))) {
		t.Error("a frame was written behind the one that closes")
	}
}

// TestDirectWritesAreOfTheirOperation: not of one that was stopped, nor on a socket that closes.
func TestDirectWritesAreOfTheirOperation(t *testing.T) {
	t.Parallel()
	conn, client := wire(t)
	op := &operation{head: transportWS{}.nextHead(nil, "1"), follows: true}
	limits := Limits{AnswerBytes: 1 << 10}
	c := &socket{server: &Server{cfg: Config{Limits: limits}}, frames: framesOf(conn, time.Minute),
		active: map[string]*operation{"1": op}}
	data := []byte(`{"a":1}`)
	send := func(op *operation, data []byte) bool { return c.sendDirect("1", op, data) }
	for name, sent := range map[string]bool{
		"another operation": send(&operation{}, data),
		"too long":          send(op, make([]byte, limits.AnswerBytes+1)),
	} {
		if sent {
			t.Errorf("%s: was written", name)
		}
	}
	op.follows = false
	if send(op, data) {
		t.Error("was written before the first result")
	}
	op.follows = true
	c.writing.Lock()
	if send(op, data) {
		t.Error("was written into what somebody else writes")
	}
	c.writing.Unlock()
	if !send(op, data) {
		t.Error("was not written")
	}
	c.closed = true
	if send(op, data) {
		t.Error("was written on a socket that closes")
	}
	_ = conn.CloseWrite()
	want := `{"id":"1","type":"next","payload":{"data":{"a":1}}}`
	if got := texts(t, client); len(got) != 1 || got[0] != want {
		t.Errorf("came %q, want %s once", got, want)
	}
}
