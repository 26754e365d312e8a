package store

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// lib/pq waits for a server without a limit of its own: a statement whose context
// has ended returns only when the server says something, which a server behind a
// broken network never does, and BEGIN does not look at its context at all. The
// types here put the limits below it, on the network connection.

// cancelGrace is how long a statement may go on after its context has ended: the
// server is asked to break it off, and mostly does.
const cancelGrace = 500 * time.Millisecond

// The signs of life asked of a silent peer by the system, and how long what was sent
// may stay without a receipt. They are what finds a dead network under a migration,
// whose statements may take long.
const (
	keepAliveIdle     = 10 * time.Second
	keepAliveInterval = 3 * time.Second
	keepAliveCount    = 3
	sentUnconfirmed   = 15 * time.Second
)

// connector opens connections that cannot hang.
type connector struct {
	settings pq.Config
	// silence is how long a server may owe an answer; 0 means for ever.
	silence time.Duration
	// epoch returns the context that ends, with the reason as its cause, when the
	// database stops answering: all connections of the epoch end with it. Nil: they
	// end by themselves only.
	epoch func() context.Context
	// heard is told whenever something has come from the server, and when the
	// connection it came by was opened. Nil: nobody wants to know.
	heard func(opened time.Time)
}

// Connect implements driver.Connector. While the database is known not to answer it
// fails at once.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	epoch := context.WithoutCancel(ctx)
	if c.epoch != nil {
		epoch = c.epoch()
	}
	if epoch.Err() != nil {
		return nil, context.Cause(epoch)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(epoch, func() { cancel(context.Cause(epoch)) })()

	d := &dialer{silence: c.silence, epoch: epoch, heard: c.heard}
	inner, err := pq.NewConnectorConfig(c.settings)
	if err != nil {
		return nil, err
	}
	inner.Dialer(d)
	// The handshake does not look at the context either.
	defer context.AfterFunc(ctx, func() { d.hangUp(time.Now()) })()
	opened, err := inner.Connect(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	d.connected.Store(true)
	return &connection{pqConn: opened.(pqConn), link: d.current()}, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// pqConn is what lib/pq's connections can do and database/sql makes use of.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// connection is one of lib/pq's whose BEGIN heeds its context, and that can always be
// closed.
type connection struct {
	pqConn
	link *link
}

// BeginTx implements driver.ConnBeginTx.
func (c *connection) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer context.AfterFunc(ctx, func() { c.link.endBy(time.Now()) })()
	return c.pqConn.BeginTx(ctx, opts)
}

// Close implements driver.Conn. The goodbye to a server that is gone fails, which is
// no news to anybody.
func (c *connection) Close() error {
	_ = c.pqConn.Close() // It closes the link in any case.
	return nil
}

// dialer opens the link of one connection. While it connects, lib/pq dials anew when
// it has given up what it dialled before. Later it dials once more to ask the server
// to break off a statement whose context has ended: that is how the link learns of
// it. lib/pq uses no such connection again.
type dialer struct {
	silence   time.Duration
	epoch     context.Context
	heard     func(opened time.Time)
	connected atomic.Bool

	mu   sync.Mutex // guards link
	link *link
}

// DialContext implements pq.DialerContext.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	cancels := d.connected.Load()
	earlier := d.current()
	switch {
	case cancels:
		d.hangUp(time.Now().Add(cancelGrace))
	case earlier != nil:
		// With sslmode prefer and allow, lib/pq does not do so itself, and the epoch
		// would keep the connection open for as long as it lasts.
		_ = earlier.Close() // Perhaps for the second time.
	}
	tcp := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval,
			Count: keepAliveCount},
		Control: confirmSent,
	}
	conn, err := tcp.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &link{Conn: conn, silence: d.silence, opened: time.Now(), heard: d.heard}
	if cancels {
		w.endBy(time.Now().Add(cancelGrace)) // What it asks for is of no use later.
		return w, nil
	}
	w.leave = context.AfterFunc(d.epoch, func() { w.endBy(time.Now()) })
	d.mu.Lock()
	d.link = w
	d.mu.Unlock()
	if ctx.Err() != nil { // The end of ctx has not seen this one.
		d.hangUp(time.Now())
	}
	return w, nil
}

// Dial implements pq.Dialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.epoch, network, address)
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.epoch, timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *dialer) current() *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link
}

func (d *dialer) hangUp(at time.Time) {
	if w := d.current(); w != nil {
		w.endBy(at)
	}
}

// link is a network connection on which no read or write waits for ever.
type link struct {
	net.Conn
	silence time.Duration
	opened  time.Time
	heard   func(opened time.Time) // Nil: nobody wants to know.
	leave   func() bool            // Lets go of the epoch; nil without one.

	// mu guards the deadlines, and orders setting them.
	mu    sync.Mutex
	asked time.Time // by lib/pq, while it connects
	end   time.Time // for good
}

// Read implements net.Conn. lib/pq reads only while the server owes an answer.
func (w *link) Read(b []byte) (int, error) {
	if err := w.arm(w.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(b)
	if n > 0 && w.heard != nil {
		w.heard(w.opened)
	}
	return n, err
}

// Write implements net.Conn.
func (w *link) Write(b []byte) (int, error) {
	if err := w.arm(w.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// SetDeadline implements net.Conn.
func (w *link) SetDeadline(t time.Time) error {
	w.mu.Lock()
	w.asked = t
	w.mu.Unlock()
	return w.arm(w.Conn.SetDeadline)
}

// Close implements net.Conn.
func (w *link) Close() error {
	if w.leave != nil {
		w.leave()
	}
	return w.Conn.Close()
}

func (w *link) arm(set func(time.Time) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var at time.Time
	if w.silence > 0 {
		at = time.Now().Add(w.silence)
	}
	return set(earliest(at, w.asked, w.end))
}

// endBy makes a time the last at which anything is read or written. It ends what
// waits.
func (w *link) endBy(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = earliest(w.end, at)
	_ = w.Conn.SetDeadline(earliest(w.asked, w.end)) // An error means that it is closed.
}

// earliest returns the first of the times that are set.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}
