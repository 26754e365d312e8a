package storetest

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/store"
)

// Proxy is a network in front of Postgres that can fail. It is safe for concurrent
// use.
type Proxy struct {
	t       testing.TB
	target  string // of Postgres
	address string // of the proxy

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	hang     bool // new connections hang from the start
	flows    map[*flow]struct{}
	served   int // connections, since the start
	script   *script
	running  sync.WaitGroup
}

// flow is one connection through the proxy.
type flow struct {
	client net.Conn
	server net.Conn // Nil: it hung from the start.
	hangs  atomic.Bool
	lost   chan struct{} // Closed by loseOnce.
	// loseOnce tells of the first thing the client has sent in vain.
	loseOnce func()

	// The fields below are guarded by the proxy's mu.
	said, answered talk
	aside          bool // It is the watch's, or the lease's.
}

// NewProxy puts a proxy in front of a database and returns how to open that through
// it. It passes everything on at first.
func NewProxy(t testing.TB, cfg store.Config) (*Proxy, store.Config) {
	t.Helper()
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, target: u.Host, address: "127.0.0.1:0", flows: make(map[*flow]struct{})}
	p.Pass()
	u.Host = p.address
	cfg.DatabaseURL = u.String()
	t.Cleanup(func() {
		p.Refuse()
		p.running.Wait()
	})
	return p, cfg
}

// Pass lets new connections through. Those that hang go on hanging: what was lost on
// the way does not come back.
func (p *Proxy) Pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hang = false
	if p.listener != nil {
		return
	}
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.listener, p.address = listener, listener.Addr().String()
	p.running.Go(func() { p.accept(listener) })
}

// Refuse resets all connections and refuses new ones, like a server that is gone.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close() // It accepts no more, which is all that counts.
		p.listener = nil
	}
	p.mu.Unlock()
	p.Cut()
}

// Cut resets all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		f.reset()
	}
}

// CutPool resets the connections of the pool: those of the watch and of the lease stay.
func (p *Proxy) CutPool() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		if !f.aside {
			f.reset()
		}
	}
}

// Hang lets everything vanish that is sent from now on, on new connections too, like
// a network that has failed without a word.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hang = true
	for f := range p.flows {
		f.hangs.Store(true)
	}
}

// HangOld lets everything vanish on the connections there are; new ones pass. So it
// is when an address has moved to another server.
func (p *Proxy) HangOld() {
	p.Hang()
	p.Pass()
}

// HangOne lets everything vanish on one connection: that which Postgres sees come from
// a port, as inet_client_port() says. The channel is closed when the client has sent
// something that vanished.
func (p *Proxy) HangOne(port int) (lost <-chan struct{}) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		if f.server != nil && f.server.LocalAddr().(*net.TCPAddr).Port == port {
			f.hangs.Store(true)
			return f.lost
		}
	}
	p.t.Errorf("there is no connection from port %d", port)
	return nil
}

// Served returns how many connections have been passed on since the start.
func (p *Proxy) Served() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	lost := make(chan struct{})
	f := &flow{client: client, lost: lost, loseOnce: sync.OnceFunc(func() { close(lost) })}
	f.said.untyped = true
	p.mu.Lock()
	f.hangs.Store(p.hang)
	gone := p.listener == nil
	p.mu.Unlock()
	if !gone && !f.hangs.Load() {
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			gone = true
		}
		f.server = server
	}
	if gone {
		f.reset()
		return
	}
	p.mu.Lock()
	p.flows[f] = struct{}{}
	p.served++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.flows, f)
		p.mu.Unlock()
		f.reset()
	}()
	var back sync.WaitGroup
	if f.server != nil {
		back.Go(func() { p.pipe(f, f.client, f.server) })
	}
	p.pipe(f, f.server, f.client)
	if f.server != nil {
		_ = f.server.Close() // The client has gone; so the other direction ends.
	}
	back.Wait()
}

// pipe copies from one end to the other until one closes. While the flow hangs, it
// drops what it reads, and the client does not learn of the server's end.
func (p *Proxy) pipe(f *flow, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if f.hangs.Load() {
			if n > 0 && from == f.client {
				f.loseOnce()
			}
		} else {
			pass, end := p.inspect(f, from == f.server, buffer[:n])
			if _, writeErr := to.Write(buffer[:pass]); err == nil {
				err = writeErr
			}
			if end != nil {
				end()
				continue // What comes now is dropped, or there is nothing.
			}
			if err != nil && from == f.server {
				_ = f.client.Close()
			}
		}
		if err != nil {
			return
		}
	}
}

// reset closes both ends at once, and tells the client so.
func (f *flow) reset() {
	if tcp, ok := f.client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // Close sends a reset.
	}
	_ = f.client.Close()
	if f.server != nil {
		_ = f.server.Close()
	}
}
