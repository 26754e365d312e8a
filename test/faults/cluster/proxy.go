package cluster

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy is one TCP link with a switch. It passes everything on until told
// otherwise; what it holds back in a hang is delivered when it heals, as after a
// partition of the network. All methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	loops    sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	target  string
	refuse  bool
	hang    bool
	delay   time.Duration
	changed chan struct{} // closed and replaced whenever the fields above change
	pairs   map[*pair]struct{}
	closed  bool
}

// pair is one connection through a proxy: the dialling side and the other.
type pair struct {
	dialler, server *net.TCPConn
	gone            chan struct{}
	once            sync.Once
}

// newProxy listens on a free port of the loopback interface. The caller closes it.
func newProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), pairs: make(map[*pair]struct{})}
	p.loops.Go(p.accept)
	return p, nil
}

// addr is where to dial instead of the target.
func (p *Proxy) addr() string { return p.listener.Addr().String() }

// set changes the state and wakes whoever waits for it.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// setTarget says where new connections go.
func (p *Proxy) setTarget(target string) { p.set(func() { p.target = target }) }

// Hang holds back all bytes, both ways, on old and new connections.
func (p *Proxy) Hang() { p.set(func() { p.hang = true }) }

// Refuse resets new connections. Old ones go on: see cut.
func (p *Proxy) Refuse() { p.set(func() { p.refuse = true }) }

// Delay holds back every piece of bytes for a while.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Heal lets everything pass again, and first of all what was held back.
func (p *Proxy) Heal() { p.set(func() { p.hang, p.refuse, p.delay = false, false, 0 }) }

// Cut resets all connections that there are.
func (p *Proxy) Cut() {
	for _, c := range p.open() {
		c.reset()
	}
}

// HalfClose tells the dialling side of all connections that no more will come,
// and leaves them open otherwise.
func (p *Proxy) HalfClose() {
	for _, c := range p.open() {
		_ = c.dialler.CloseWrite() // Gone already is as good.
	}
}

// close ends the proxy and all its connections.
func (p *Proxy) close() {
	p.set(func() { p.closed = true })
	_ = p.listener.Close() // Only ever closed here.
	p.Cut()
	p.loops.Wait()
}

func (p *Proxy) open() []*pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*pair, 0, len(p.pairs))
	for c := range p.pairs {
		list = append(list, c)
	}
	return list
}

// reset ends both sides at once, without the usual goodbye.
func (c *pair) reset() {
	c.once.Do(func() {
		close(c.gone)
		for _, side := range []*net.TCPConn{c.dialler, c.server} {
			_ = side.SetLinger(0) // Best effort, like the close after it.
			_ = side.Close()
		}
	})
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // Closed.
		}
		p.loops.Go(func() { p.connect(conn.(*net.TCPConn)) })
	}
}

// connect carries one connection until both directions have ended.
func (p *Proxy) connect(dialler *net.TCPConn) {
	p.mu.Lock()
	target, no := p.target, p.refuse || p.closed || p.target == ""
	p.mu.Unlock()
	var server net.Conn
	if !no {
		var err error
		server, err = net.DialTimeout("tcp", target, 5*time.Second)
		no = err != nil
	}
	if no {
		_ = dialler.SetLinger(0) // Best effort.
		_ = dialler.Close()
		return
	}
	c := &pair{dialler: dialler, server: server.(*net.TCPConn), gone: make(chan struct{})}
	p.mu.Lock()
	p.pairs[c] = struct{}{}
	no = p.closed
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
		c.reset()
	}()
	if no {
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() { p.copy(c, c.server, c.dialler) })
	ways.Go(func() { p.copy(c, c.dialler, c.server) })
	ways.Wait()
}

// copy carries one direction. An orderly end is passed on as such, a reset as a
// reset.
func (p *Proxy) copy(c *pair, to, from *net.TCPConn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if !p.gate(c) {
			return
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				c.reset()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite() // Gone already is as good.
			return
		case err != nil:
			c.reset()
			return
		}
	}
}

// gate waits until bytes may pass. It returns false when the connection has gone.
func (p *Proxy) gate(c *pair) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-c.gone:
			return false
		}
	}
	for {
		p.mu.Lock()
		hang, changed := p.hang, p.changed
		p.mu.Unlock()
		if !hang {
			return true
		}
		select {
		case <-changed:
		case <-c.gone:
			return false
		}
	}
}
