package storetest

import (
	"bytes"
	"encoding/binary"
	"net"
	"time"
)

// Break is a way in which a connection ends.
type Break uint8

// The breaks.
const (
	// Close ends the connection in good order, though in the middle of a word.
	Close Break = iota
	// Reset ends it with a reset.
	Reset
	// HalfClose ends what the server says; the client may go on talking to nobody.
	HalfClose
	// Freeze has everything vanish for a moment, and then resets.
	Freeze

	Breaks = 4
)

// frozenFor is how long Freeze says nothing.
const frozenFor = 10 * time.Millisecond

// Place is a byte of what is said to Postgres, or by it.
type Place struct {
	FromServer bool
	// Message counts the messages of this direction, on all connections together, and Byte
	// those of the message that pass.
	Message, Byte int
}

// Spoken is how long the messages of a conversation were.
type Spoken struct{ Client, Server []int }

// script is what a proxy listens for.
type script struct {
	spoken Spoken
	at     *Place // nil: nothing is to be broken, or it is broken
	how    Break
}

// Listen begins to count messages anew. Those of the watch and of the lease, which have
// connections of their own and speak by the clock, do not count.
func (p *Proxy) Listen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = &script{}
}

// CutAt is Listen, and breaks the connection on which a place is come to: once, and
// nothing else.
func (p *Proxy) CutAt(at Place, how Break) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = &script{at: &at, how: how}
}

// Heard ends Listen and CutAt. It returns what was said meanwhile, and whether the place
// was come to.
func (p *Proxy) Heard() (spoken Spoken, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.script == nil {
		return Spoken{}, false
	}
	defer func() { p.script = nil }()
	return p.script.spoken, p.script.at == nil
}

// talk is what one end of a connection says: where its messages begin and end.
type talk struct {
	untyped bool // The next message has no type: it is the client's first.
	header  []byte
	left    int // bytes of a message whose length is known
	index   int // of the message under way, among all of its direction
	past    int // its bytes so far
	counts  bool
}

// inspect looks at what is about to be passed on. It returns how much of it may pass and,
// when the connection is to break behind that, how.
func (p *Proxy) inspect(f *flow, fromServer bool, said []byte) (pass int, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !fromServer && (bytes.Contains(said, []byte("transaction_read_only")) ||
		bytes.Contains(said, []byte("INTO replicas"))) {
		f.aside = true
	}
	t, spoken := &f.said, (*[]int)(nil)
	if fromServer {
		t = &f.answered
	}
	if s := p.script; s != nil && !f.aside {
		spoken = &s.spoken.Client
		if fromServer {
			spoken = &s.spoken.Server
		}
	}
	for i, b := range said {
		if spoken != nil && p.script.at != nil && p.reached(t, fromServer, len(*spoken)) {
			p.script.at = nil
			how := p.script.how
			return i, func() { f.breakOff(how) }
		}
		t.take(b, spoken)
	}
	return len(said), nil
}

// reached reports whether the next byte of a talk is the one to break at.
func (p *Proxy) reached(t *talk, fromServer bool, begun int) bool {
	at := p.script.at
	if at.FromServer != fromServer {
		return false
	}
	if t.past == 0 { // A message begins.
		return at.Message == begun && at.Byte == 0
	}
	return t.counts && at.Message == t.index && at.Byte == t.past
}

// take goes on by a byte. spoken is where messages are counted; nil: they are not.
func (t *talk) take(b byte, spoken *[]int) {
	if t.past == 0 {
		if t.counts = spoken != nil; t.counts {
			t.index = len(*spoken)
			*spoken = append(*spoken, 0)
		}
		t.header, t.left = t.header[:0], 0
	}
	t.past++
	if t.counts && spoken != nil && t.index < len(*spoken) {
		(*spoken)[t.index] = t.past
	}
	if t.left > 0 {
		t.left--
	} else {
		t.header = append(t.header, b)
		size := 5
		if t.untyped {
			size = 4
		}
		if len(t.header) < size {
			return
		}
		t.left = int(binary.BigEndian.Uint32(t.header[size-4:])) - 4
	}
	if t.left == 0 {
		t.untyped, t.past = false, 0
	}
}

// breakOff ends the connection as told.
func (f *flow) breakOff(how Break) {
	switch how {
	case Close:
		_ = f.client.Close()
		_ = f.server.Close()
	case Reset:
		f.reset()
	case HalfClose:
		f.hangs.Store(true)
		if tcp, ok := f.client.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_ = f.server.Close()
	case Freeze:
		f.hangs.Store(true)
		time.AfterFunc(frozenFor, f.reset)
	}
}
