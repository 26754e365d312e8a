package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// lease is how long a replica may be silent here: the shortest there is, for people who wait.
	lease = 3 * time.Second
	// startLimit is for a machine that does much else.
	startLimit = time.Minute
)

// demo is all that runs.
type demo struct {
	nats     *server.Server
	replicas [2]*replica
	front    *front
	ended    chan *replica // a replica that has ended, for whatever reason
}

// start starts everything, in the order in which one needs the other.
func start(ctx context.Context, s settings, dir string) (_ *demo, err error) {
	d := &demo{ended: make(chan *replica, 2)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	d.nats, err = server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true,
		NoSigs: true, NoSystemAccount: true})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	d.nats.Start()
	if !d.nats.ReadyForConnections(startLimit) {
		return nil, errors.New("the NATS server does not start")
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // It never fails; it ends the process instead.
	environ := append(os.Environ(),
		"PARLEY_DATA_DIR="+dir, "PARLEY_DATABASE_URL="+s.database, "PARLEY_NATS_URL="+d.nats.ClientURL(),
		"PARLEY_AUTH_KEYS=demo:"+base64.RawURLEncoding.EncodeToString(secret),
		"PARLEY_MODE=development", "PARLEY_SIGNUP=open", "PARLEY_LEASE="+lease.String(), "PARLEY_ON_CRASH=retry")
	if !speaks(environ) {
		environ = append(environ, "PARLEY_MODEL=script") // It can be told to write for long enough.
	}
	for n, addr := range s.replicas {
		d.replicas[n] = &replica{number: n + 1, addr: addr, binary: s.binary, environ: environ, ended: d.ended,
			log: filepath.Join(dir, fmt.Sprintf("replica-%d.log", n+1))}
		if err := d.replicas[n].start(ctx); err != nil {
			return nil, err
		}
	}
	d.front, err = newFront(s.front, d.alive)
	return d, err
}

// speaks reports whether a model server or a model is chosen.
func speaks(environ []string) bool {
	return slices.ContainsFunc(environ, func(v string) bool {
		return strings.HasPrefix(v, "OPENAI_") || strings.HasPrefix(v, "PARLEY_MODEL=")
	})
}

// alive lists where replicas listen, the one that serves first.
func (d *demo) alive() []string {
	var list []string
	for _, r := range d.replicas {
		if r.isAlive() {
			list = append(list, r.addr)
		}
	}
	return list
}

// serving is the replica that the front leads to.
func (d *demo) serving() *replica {
	at := d.front.serves()
	for _, r := range d.replicas {
		if r.addr == at && r.isAlive() {
			return r
		}
	}
	return d.replicas[0]
}

// close ends all that runs. What was stored goes with the database.
func (d *demo) close() {
	if d.front != nil {
		d.front.close()
	}
	for _, r := range d.replicas {
		if r != nil {
			r.kill()
		}
	}
	if d.nats != nil {
		d.nats.Shutdown()
		d.nats.WaitForShutdown()
	}
}

// replica is one server process, which comes and goes.
type replica struct {
	number  int
	addr    string
	binary  string
	environ []string
	log     string
	ended   chan<- *replica

	mu      sync.Mutex // guards process and over
	process *os.Process
	over    chan struct{} // closed when the process has ended
}

// start starts the process and waits until it is ready.
func (r *replica) start(ctx context.Context) error {
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // The process has its own.
	cmd := exec.Command(r.binary)
	cmd.Env = append(slices.Clone(r.environ), "PARLEY_ADDR="+r.addr)
	cmd.Stdout, cmd.Stderr = out, out
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	over := make(chan struct{})
	r.mu.Lock()
	r.process, r.over = cmd.Process, over
	r.mu.Unlock()
	go func() {
		_ = cmd.Wait() // Its log says why.
		close(over)
		select {
		case r.ended <- r:
		default: // So many have ended that nobody has to be told.
		}
	}()
	return r.awaitReady(ctx, over)
}

func (r *replica) awaitReady(ctx context.Context, over <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return fmt.Errorf("replica %d does not start:\n%s", r.number, r.tail())
		case <-ctx.Done():
			return fmt.Errorf("replica %d does not get ready: %w\n%s", r.number, ctx.Err(), r.tail())
		case <-tick.C:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := probe.Do(request)
		if err != nil {
			continue
		}
		_ = response.Body.Close() // Only the status counts.
		if response.StatusCode == http.StatusOK {
			return nil
		}
	}
}

func (r *replica) isAlive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return false
	}
	select {
	case <-r.over:
		return false
	default:
		return true
	}
}

// kill ends the process as a crash does, and does nothing when there is none.
func (r *replica) kill() {
	r.mu.Lock()
	process, over := r.process, r.over
	r.mu.Unlock()
	if process != nil {
		_ = process.Kill() // An error means that it has ended.
		<-over
	}
}

// tail is the end of what the process has said.
func (r *replica) tail() string {
	text, _ := os.ReadFile(r.log) // Goes into an error, as far as there is one.
	return string(text[max(0, len(text)-2000):])
}

// front takes connections and leads each to a replica that lives, like a load balancer. It stays with one as long as
// that lives, so that the person knows which one to kill. It is safe for concurrent use.
type front struct {
	listener net.Listener
	alive    func() []string
	running  sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	at    string     // the replica that serves
	conns map[net.Conn]bool
	over  bool
}

func newFront(addr string, alive func() []string) (*front, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the front: %w; -front takes another address", err)
	}
	f := &front{listener: listener, alive: alive, conns: make(map[net.Conn]bool)}
	f.running.Go(f.accept)
	return f, nil
}

func (f *front) addr() string { return f.listener.Addr().String() }

// serves is the address of the replica that new connections go to.
func (f *front) serves() string {
	living := f.alive()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(living, f.at) && len(living) > 0 {
		f.at = living[0]
	}
	return f.at
}

func (f *front) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // It is closed.
		}
		f.running.Go(func() { f.lead(conn) })
	}
}

// lead passes on what comes from either side until one has ended.
func (f *front) lead(client net.Conn) {
	defer f.forget(client)
	if !f.keep(client) {
		return
	}
	replica, err := net.Dial("tcp", f.serves())
	if err != nil {
		return // The browser asks again.
	}
	defer f.forget(replica)
	if !f.keep(replica) {
		return
	}
	var one sync.WaitGroup
	one.Go(func() { pass(replica, client) })
	pass(client, replica)
	one.Wait()
}

// pass copies one direction, and ends both with it.
func pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close() // Both have had what there was.
}

// keep notes a connection, unless all is over.
func (f *front) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[conn] = true
	return !f.over
}

func (f *front) forget(conn net.Conn) {
	_ = conn.Close() // More than once, mostly.
	f.mu.Lock()
	delete(f.conns, conn)
	f.mu.Unlock()
}

func (f *front) close() {
	_ = f.listener.Close() // There is nothing to be done about it.
	f.mu.Lock()
	f.over = true
	for conn := range f.conns {
		_ = conn.Close() // As above.
	}
	f.mu.Unlock()
	f.running.Wait()
}
