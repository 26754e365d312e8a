package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// recorder is a connection that counts what is written to it.
type recorder struct {
	net.Conn
	written bytes.Buffer
	writes  int
}

// SetWriteDeadline implements net.Conn.
func (*recorder) SetWriteDeadline(time.Time) error { return nil }

func (r *recorder) Write(p []byte) (int, error) {
	r.writes++
	return r.written.Write(p)
}

// A frame leaves whole, whatever its length: nothing of it waits for the next one.
func TestFramesAreJoined(t *testing.T) {
	t.Parallel()
	server := &Server{ledger: &ledger{}, timing: timing{write: time.Minute}}
	for _, size := range []int{0, 1, 13, 14, 15, 16, 17, 30, 125, 126, 127, 300, 1 << 10, 1<<16 - 1, 1 << 16, 1 << 20} {
		conn := &recorder{}
		f := &frames{Conn: conn, paced: pacedConn{conn, server}}
		w := bufio.NewWriterSize(f, writeBuffer)
		var head []byte // As the library writes it.
		switch {
		case size < 126:
			head = []byte{0x81, byte(size)}
		case size < 1<<16:
			head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(size))
		default:
			head = binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(size))
		}
		frame := append(bytes.Clone(head), bytes.Repeat([]byte("x"), size)...)
		for n := 1; n <= 2; n++ {
			for _, b := range head {
				_ = w.WriteByte(b) // The recorder never fails.
			}
			_, _ = w.Write(frame[len(head):])
			_ = w.Flush()
			if want := bytes.Repeat(frame, n); !bytes.Equal(conn.written.Bytes(), want) {
				t.Errorf("%d bytes, frame %d: %d bytes were written, want %d", size, n, conn.written.Len(), len(want))
			}
		}
		// One for each frame, whatever the connection is wrapped in.
		want := 2
		if rest := len(frame) - writeBuffer; rest > stretch { // In stretches.
			want = 2 * (1 + (rest+stretch-1)/stretch)
		}
		if conn.writes != want {
			t.Errorf("%d bytes: %d writes for two frames, want %d", size, conn.writes, want)
		}
	}
}
