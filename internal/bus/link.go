package bus

import (
	"context"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fact"
	"parley/internal/reply"
)

// What may wait in one NATS subscription. More than that is dropped, and told.
const (
	pendingMessages = 4096
	pendingBytes    = 4 << 20
)

// run owns the connection: no other goroutine but the one that confirms calls it,
// because any call may wait for the network.
func (n *NATS) run(ctx context.Context, urls string, tried chan<- error) {
	conn, err := nats.Connect(urls, n.options(ctx)...)
	if err != nil {
		tried <- err
		return
	}
	n.tasks.Go(func() { n.confirm(ctx, conn) })
	l := &link{n: n, conn: conn, subs: make(map[string]heardInterest)}
	l.reconcile(ctx)
	tried <- nil
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-n.interests.wake:
			l.reconcile(ctx)
		case f := <-n.facts:
			l.publishFact(ctx, f)
		case p := <-n.pieces:
			l.publishPiece(ctx, p)
		case m := <-n.letters:
			l.post(ctx, m)
		}
	}
	l.drain(ctx)
	conn.Close()
	<-n.ended
	n.connected.Store(false)
	n.asks.fail()
}

// link is the connection and what belongs to the goroutine that owns it.
type link struct {
	n    *NATS
	conn *nats.Conn
	subs map[string]heardInterest
	buf  []byte
}

type heardInterest struct {
	*interest
	sub *nats.Subscription
}

// drain sends what was published before the bus was closed.
func (l *link) drain(ctx context.Context) {
	for {
		select {
		case f := <-l.n.facts:
			l.publishFact(ctx, f)
		case p := <-l.n.pieces:
			l.publishPiece(ctx, p)
		case m := <-l.n.letters:
			l.post(ctx, m)
		default:
			if l.n.Connected() {
				_ = l.conn.FlushTimeout(flushLimit) // What does not go out now is lost.
			}
			return
		}
	}
}

// reconcile makes the subscriptions at NATS those that are wanted here.
func (l *link) reconcile(ctx context.Context) {
	for subject, wanted := range l.n.interests.take() {
		have, ok := l.subs[subject]
		if ok && have.interest == wanted {
			continue
		}
		if ok {
			_ = have.sub.Unsubscribe() // Fails only when the connection is closed.
			delete(l.subs, subject)
		}
		if wanted == nil {
			continue
		}
		sub, err := l.conn.Subscribe(subject, l.n.guard(ctx, wanted.hear))
		if err != nil {
			l.n.warn(ctx, "NATS refuses a subscription", err)
			continue
		}
		_ = sub.SetPendingLimits(pendingMessages, pendingBytes) // Fails only when it is closed.
		l.subs[subject] = heardInterest{wanted, sub}
		if wanted.topic != "" {
			l.n.unconfirmed.add(wanted.topic)
		}
	}
}

// guard keeps a bug in a handler from ending the process.
func (n *NATS) guard(ctx context.Context, hear nats.MsgHandler) nats.MsgHandler {
	return func(m *nats.Msg) {
		defer func() {
			if p := recover(); p != nil {
				n.log.ErrorContext(ctx, "panic in a handler of the bus", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		hear(m)
	}
}

func (l *link) publishFact(ctx context.Context, f fact.Fact) {
	data, ok := encodeFact(f)
	if !ok {
		return
	}
	for _, t := range f.Topics() {
		if subject, ok := l.n.subjects.fact(t); ok {
			l.publish(ctx, subject, "", data)
		}
	}
}

func (l *link) publishPiece(ctx context.Context, p reply.Piece) {
	subject, ok := l.n.subjects.piece(p.MessageID)
	if !ok {
		return
	}
	for part := range split(p) {
		l.buf = appendPiece(l.buf[:0], part)
		l.publish(ctx, subject, "", l.buf)
	}
}

// post sends a question or an answer. Whoever asks has followed before: the
// subscription goes out first, so that nothing falls between it and the answer.
func (l *link) post(ctx context.Context, m letter) {
	l.reconcile(ctx)
	l.buf = m.append(l.buf[:0])
	l.publish(ctx, m.subject, m.reply, l.buf)
}

// publish hands a copy of data to the client. A message that cannot go out is
// lost, as one that no connection takes is.
func (l *link) publish(ctx context.Context, subject, reply string, data []byte) {
	if !l.n.Connected() {
		return
	}
	if err := l.conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data}); err != nil {
		l.n.warn(ctx, "not sent to NATS", err)
	}
}

// hearTopic is told by Local that a topic is listened to, or not any more.
func (n *NATS) hearTopic(t fact.Topic, heard bool) {
	subject, ok := n.subjects.fact(t)
	if !ok {
		return
	}
	if !heard {
		n.interests.set(subject, nil)
		return
	}
	n.interests.set(subject, &interest{topic: t, hear: n.hearFacts(t)})
}

// hearFacts hands the facts of a topic to its listeners here. A message that was
// dropped because this replica was too slow shows in a counter when the next one
// is handled, which there always is: messages are dropped when others wait.
func (n *NATS) hearFacts(t fact.Topic) nats.MsgHandler {
	dropped := 0
	return func(m *nats.Msg) {
		n.shim.pass(func() {
			if f, ok := decodeFact(m.Data); ok && slices.Contains(f.Topics(), t) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.deliver(t, &f)
			}
		})
		if d, err := m.Sub.Dropped(); err == nil && d != dropped {
			n.gaps.Of(gapHeard).Add(d - dropped)
			dropped = d
			n.doubtTopic(t)
		}
	}
}

// confirm signals Missed to the listeners of topics whose subscriptions NATS did
// not know yet when they began to listen, as soon as it does.
func (n *NATS) confirm(ctx context.Context, conn *nats.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.unconfirmed.wake:
		}
		topics, all := n.unconfirmed.take()
		for n.Connected() && ctx.Err() == nil {
			// The answer to a ping comes after everything before it was dealt with.
			if conn.FlushTimeout(flushLimit) != nil {
				continue // Too slow, or the connection is about to be found broken.
			}
			for t := range topics {
				n.doubtTopic(t)
			}
			if all {
				n.hurry.Store(doubtShares)
			}
			break
		}
		// A new connection confirms all of them: nothing is lost from the set here.
	}
}

// interest is something to hear at NATS. It is compared by its address.
type interest struct {
	topic fact.Topic // Empty for anything but facts.
	hear  nats.MsgHandler
}

// interests is what this replica wants to hear, by subject, as far as the
// connection has not been told yet.
type interests struct {
	mu sync.Mutex
	// changed is guarded by mu. A nil interest is one that has ended.
	changed map[string]*interest
	// closed, guarded by mu too, says that nobody takes them any more.
	closed bool
	// wake has a signal while changed is not empty.
	wake chan struct{}
}

// set wants a subject to be heard by i, and no more when i is nil.
func (in *interests) set(subject string, i *interest) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	if in.changed == nil {
		in.changed = make(map[string]*interest)
	}
	in.changed[subject] = i
	signal(in.wake)
}

func (in *interests) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
}

// take returns what has changed since the last call.
func (in *interests) take() map[string]*interest {
	in.mu.Lock()
	defer in.mu.Unlock()
	changed := in.changed
	in.changed = nil
	return changed
}

// confirmations is whose subscriptions NATS has not confirmed yet.
type confirmations struct {
	mu sync.Mutex
	// topics and all are guarded by mu.
	topics map[fact.Topic]struct{}
	all    bool
	wake   chan struct{}
}

func (c *confirmations) add(t fact.Topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.topics == nil {
		c.topics = make(map[fact.Topic]struct{})
	}
	c.topics[t] = struct{}{}
	signal(c.wake)
}

func (c *confirmations) addAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = true
	signal(c.wake)
}

func (c *confirmations) take() (topics map[fact.Topic]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	topics, all = c.topics, c.all
	c.topics, c.all = nil, false
	return topics, all
}

// signal fills a channel of one place; one signal that is not read yet covers all.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dialFunc implements nats.CustomDialer.
type dialFunc func(network, address string) (net.Conn, error)

// Dial implements nats.CustomDialer.
func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// line makes the connections of the client, so that they can be cut: the client
// itself waits for a write with its lock held.
type line struct {
	mu sync.Mutex
	// conn, the latest one, and down are guarded by mu.
	conn net.Conn
	down bool
}

func (d *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	plain := net.Dialer{Timeout: 2 * time.Second}
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = conn
	if d.down {
		_ = conn.Close() // Too late; the first use of it says so.
	}
	return brittleConn{conn}, nil
}

// cut ends the connection and all to come.
func (d *line) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
	if d.conn != nil {
		_ = d.conn.Close() // It may be closed already.
	}
}

// brittleConn breaks at the first write that fails. The client would go on without
// what was in it, subscriptions for instance.
type brittleConn struct{ net.Conn }

func (c brittleConn) Write(b []byte) (int, error) {
	count, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Conn.Close() // The error of the write counts.
	}
	return count, err
}
