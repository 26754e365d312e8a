package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// A message in several frames leaves whole with its last one, however its parts lie in the
// buffer, and with the answer to a ping between them.
func TestFramesOfOneMessage(t *testing.T) {
	t.Parallel()
	server := &Server{ledger: &ledger{}, timing: timing{write: time.Minute}}
	data := bytes.Repeat([]byte{0x81, 0x7e, 0xff}, 2*stretch)
	for head := range 20 {
		for tail := range 20 {
			for pong := -1; pong < 20; pong += 7 {
				conn := &recorder{}
				f := &frames{Conn: conn, paced: pacedConn{conn, server}}
				w := bufio.NewWriterSize(f, writeBuffer)
				var want []byte
				frame := func(first byte, payload []byte) {
					h := []byte{first, byte(len(payload))}
					if len(payload) > 125 {
						h = binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(len(payload)))
						if len(payload) < 1<<16 {
							h = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(len(payload)))
						}
					}
					want = append(append(want, h...), payload...)
					for _, b := range h {
						_ = w.WriteByte(b) // The recorder never fails.
					}
					_, _ = w.Write(payload)
					if first&0x80 != 0 {
						_ = w.Flush()
					}
				}
				frame(0x01, data[:head])
				if pong >= 0 {
					frame(0x8a, data[:pong])
				}
				frame(0x00, data)
				frame(0x00, data[:tail])
				frame(0x80, nil)
				if !bytes.Equal(conn.written.Bytes(), want) {
					t.Fatalf("head %d, tail %d, pong %d: %d bytes were written, want %d", head, tail, pong,
						conn.written.Len(), len(want))
				}
			}
		}
	}
}
