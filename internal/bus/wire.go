package bus

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"parley/internal/pid"
	"parley/internal/reply"
)

// pieceBacklog is how many pieces a follower may lag behind. One that lags further
// sees the gap and asks.
const pieceBacklog = 256

// letter is a question or an answer on its way. It is written when it is sent.
type letter struct {
	subject, reply string
	append         func([]byte) []byte
}

// mail queues a letter, and returns false when there are too many.
func (n *NATS) mail(m letter) bool {
	select {
	case n.letters <- m:
		return true
	default:
		n.gaps.Of(gapLetter).Inc()
		return false
	}
}

// Serve implements reply.Wire. A replica is served once at a time.
func (n *NATS) Serve(replica pid.ID, answer func(reply.Question) (reply.Piece, error)) (stop func()) {
	subject, ok := n.subjects.question(replica)
	if !ok {
		return func() {}
	}
	d := &desk{n: n, answer: answer}
	n.interests.set(subject, &interest{hear: d.hear})
	return sync.OnceFunc(func() {
		n.interests.set(subject, nil)
		d.close()
	})
}

// desk answers questions until it is closed.
type desk struct {
	n      *NATS
	answer func(reply.Question) (reply.Piece, error)
	mu     sync.RWMutex
	// closed is guarded by mu, which is read-locked while answer is called.
	closed bool
}

func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

func (d *desk) hear(m *nats.Msg) {
	q, ok := decodeQuestion(m.Data)
	if !ok || !d.n.subjects.isAnswer(m.Reply) {
		return
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return
	}
	p, err := d.answer(q)
	p.Texts = cut(p.Texts)
	// An answer that finds no place in the queue is lost: the asker asks again.
	d.n.mail(letter{subject: m.Reply, append: func(b []byte) []byte { return appendAnswer(b, p, err == nil) }})
}

// Ask implements reply.Wire. Without a connection it fails at once, and when the
// connection breaks meanwhile. Every Follow that returned before is known to NATS
// before the question is, so what the owner sends after its answer arrives.
func (n *NATS) Ask(ctx context.Context, owner pid.ID, q reply.Question) (reply.Piece, error) {
	subject, ok := n.subjects.question(owner)
	if !ok || !q.MessageID.Is(pid.Message) {
		return reply.Piece{}, reply.ErrNoAnswer
	}
	number, answers := n.asks.begin()
	defer n.asks.end(number)
	question := letter{
		subject: subject,
		reply:   n.subjects.answer(n.asks.inbox, number),
		append:  func(b []byte) []byte { return appendQuestion(b, q) },
	}
	// Whoever breaks the connection after this look finds the question and fails it.
	if !n.Connected() || !n.mail(question) {
		return reply.Piece{}, reply.ErrNoAnswer
	}
	select {
	case a := <-answers:
		if a.err == nil && a.piece.MessageID != q.MessageID {
			return reply.Piece{}, reply.ErrNoAnswer
		}
		return a.piece, a.err
	case <-ctx.Done():
		return reply.Piece{}, reply.ErrNoAnswer
	}
}

// asks is the questions that have no answer yet.
type asks struct {
	inbox string
	mu    sync.Mutex
	// last and waiting are guarded by mu.
	last    uint64
	waiting map[uint64]chan<- answered
}

type answered struct {
	piece reply.Piece
	err   error
}

func (a *asks) begin() (number uint64, answers <-chan answered) {
	c := make(chan answered, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = make(map[uint64]chan<- answered)
	}
	a.last++
	a.waiting[a.last] = c
	return a.last, c
}

func (a *asks) end(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, number)
}

// settle gives a question its answer; of several the first counts.
func (a *asks) settle(number uint64, answer answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.waiting[number]; ok {
		delete(a.waiting, number)
		c <- answer // It has one place, and this is the only one to use it.
	}
}

// fail ends all questions: their answers cannot come any more.
func (a *asks) fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for number, c := range a.waiting {
		delete(a.waiting, number)
		c <- answered{err: reply.ErrNoAnswer} // As in settle.
	}
}

// hearAnswer takes answers, and the server's word that nobody hears a question.
func (n *NATS) hearAnswer(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, n.subjects.answers(n.asks.inbox)), 10, 64)
	if err != nil {
		return
	}
	if len(m.Data) == 0 {
		// Only the server says nothing: "503", no responders.
		n.asks.settle(number, answered{err: reply.ErrNoAnswer})
		return
	}
	n.shim.pass(func() {
		p, err := decodeAnswer(m.Data)
		n.asks.settle(number, answered{p, err})
	})
}

// Send implements reply.Wire.
func (n *NATS) Send(p reply.Piece) {
	if !n.Connected() {
		return
	}
	select {
	case n.pieces <- p:
	default:
		n.gaps.Of(gapPieceSent).Inc()
	}
}

// Follow implements reply.Wire. All followers of one reply share a subscription.
func (n *NATS) Follow(messageID pid.ID) reply.Pieces {
	f := &follower{n: n, messageID: messageID, arrived: make(chan reply.Piece, pieceBacklog)}
	n.following.mu.Lock()
	defer n.following.mu.Unlock()
	subject, ok := n.subjects.piece(messageID)
	if !ok {
		return f // Nobody can send such pieces either.
	}
	set := n.following.followers[messageID]
	if set == nil {
		if n.following.followers == nil {
			n.following.followers = make(map[pid.ID]map[*follower]struct{})
		}
		set = make(map[*follower]struct{})
		n.following.followers[messageID] = set
		n.interests.set(subject, &interest{hear: n.hearPieces(messageID)})
	}
	set[f] = struct{}{}
	return f
}

// following is who follows which reply.
type following struct {
	mu sync.Mutex
	// followers is guarded by mu.
	followers map[pid.ID]map[*follower]struct{}
}

func (n *NATS) hearPieces(messageID pid.ID) nats.MsgHandler {
	return func(m *nats.Msg) {
		n.shim.pass(func() {
			if p, ok := decodePiece(m.Data); ok && p.MessageID == messageID {
				n.following.deliver(p)
			}
		})
	}
}

func (f *following) deliver(p reply.Piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for follower := range f.followers[p.MessageID] {
		select {
		case follower.arrived <- p:
		default:
			follower.n.gaps.Of(gapPieceHeard).Inc()
		}
	}
}

type follower struct {
	n         *NATS
	messageID pid.ID
	arrived   chan reply.Piece
}

func (f *follower) Arrived() <-chan reply.Piece { return f.arrived }

func (f *follower) Close() {
	all := &f.n.following
	all.mu.Lock()
	defer all.mu.Unlock()
	set, ok := all.followers[f.messageID]
	if !ok {
		return // Closed before, or never open.
	}
	delete(set, f)
	if len(set) > 0 {
		return
	}
	delete(all.followers, f.messageID)
	if subject, ok := f.n.subjects.piece(f.messageID); ok {
		f.n.interests.set(subject, nil)
	}
}
