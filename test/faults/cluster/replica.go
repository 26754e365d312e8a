package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/wait"
)

// The longest a server may take to start and to end, on a machine that does much
// else.
const (
	startLimit = 60 * time.Second
	StopLimit  = 60 * time.Second
)

// Replica is one place for a server process, with a proxy on each of its links.
// The process may come and go; the links stay.
type Replica struct {
	Name     string
	dir      string
	environ  []string
	client   *Proxy
	upstream *Proxy
	postgres *Proxy // nil with SQLite.
	bus      *Proxy // nil without NATS.
	history  *history.History

	mu      sync.Mutex // guards the fields below
	binary  string
	process *process
	starts  int

	frozen frozen
}

// frozen is since when a process stands still.
type frozen struct {
	mu    sync.Mutex // guards the fields below
	since map[int]time.Duration
}

// process is one running server.
type process struct {
	os    *os.Process
	addr  string
	log   string
	ended chan struct{} // closed when it has ended
	err   error         // of its end; read it after ended only
}

// Addr is where clients reach the place, whatever process is in it.
func (r *Replica) Addr() string { return r.client.addr() }

// Links returns the proxies by name.
func (r *Replica) Links() map[string]*Proxy {
	links := map[string]*Proxy{"client": r.client, "upstream": r.upstream}
	if r.postgres != nil {
		links["postgres"] = r.postgres
	}
	if r.bus != nil {
		links["nats"] = r.bus
	}
	return links
}

// Start starts the process and waits until it is ready. One that runs already is
// left alone. A start that a fault prevents is tried again until the limit.
func (r *Replica) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil && !r.process.hasEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		p, err := r.launch()
		if err != nil {
			return err
		}
		if err = p.waitReady(ctx); err == nil {
			r.process = p
			r.client.setTarget(p.addr)
			return nil
		}
		_ = p.os.Kill() // It has ended by itself, mostly.
		<-p.ended
		if ctx.Err() != nil {
			text, _ := os.ReadFile(p.log) // Goes into the error, as far as there is one.
			return fmt.Errorf("replica %s: %w\n%s", r.Name, err, tail(text))
		}
	}
}

func (r *Replica) launch() (*process, error) {
	r.starts++
	p := &process{
		// Outside the range from which the system gives ports to others.
		addr:  fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)),
		log:   filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", r.Name, r.starts)),
		ended: make(chan struct{}),
	}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // The process has its own.
	cmd := exec.Command(r.binary)
	cmd.Env = append(append([]string{}, r.environ...), "PARLEY_ADDR="+p.addr)
	cmd.Dir = r.dir
	cmd.Stdout, cmd.Stderr = out, out
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.os = cmd.Process
	r.history.Add(history.Record{Op: history.OpProcess, Replica: r.Name, Process: p.os.Pid, Address: p.addr})
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
		now := r.history.Now()
		r.befell(history.Ended, p.os.Pid, now)
	}()
	return p, nil
}

// befell records what befell a process from a time until now.
func (r *Replica) befell(what history.Mishap, process int, from time.Duration) {
	r.history.Add(history.Record{Op: history.OpMishap, Replica: r.Name, Process: process, Mishap: what, From: from})
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// wakeAfter is how long a start may take before it is thought to stand still at a
// failpoint, where nothing else would wake it.
const wakeAfter = 10 * time.Second

// waitReady waits until this process answers that it is ready: the port may be
// somebody else's, when it could not be had.
func (p *process) waitReady(ctx context.Context) error {
	defer time.AfterFunc(wakeAfter, func() { _ = p.os.Signal(Thaw) }).Stop() // It may have ended.
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	return wait.Until(ctx, startLimit, "the server is ready", func() (bool, error) {
		if p.hasEnded() {
			return false, fmt.Errorf("the server ended at once: %w", errors.Join(p.err))
		}
		text, err := os.ReadFile(p.log)
		if err != nil || !strings.Contains(string(text), "is listening on http://"+p.addr) {
			return false, err
		}
		response, err := probe.Get("http://" + p.addr + "/readyz")
		if err != nil {
			return false, nil
		}
		_ = response.Body.Close() // Only the status counts.
		return response.StatusCode == http.StatusOK, nil
	})
}

// running returns the process, or nil when there is none.
func (r *Replica) running() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil || r.process.hasEnded() {
		return nil
	}
	return r.process
}

// Signal sends a signal to the process, if there is one.
func (r *Replica) Signal(s syscall.Signal) {
	if p := r.running(); p != nil {
		r.signal(p, s)
	}
}

// signal sends a signal, and records what that means for the process.
func (r *Replica) signal(p *process, s syscall.Signal) {
	pid := p.os.Pid
	now := r.history.Now()
	switch s {
	case syscall.SIGTERM:
		r.befell(history.Asked, pid, now)
	case Freeze:
		r.frozen.mu.Lock()
		r.frozen.since[pid] = now
		r.frozen.mu.Unlock()
	}
	_ = p.os.Signal(s) // It may just have ended.
	if s != Thaw {
		return
	}
	r.frozen.mu.Lock()
	since, was := r.frozen.since[pid]
	delete(r.frozen.since, pid)
	r.frozen.mu.Unlock()
	if was {
		r.befell(history.Frozen, pid, since)
	}
}

// Kill ends the process as a crash does.
func (r *Replica) Kill() {
	if p := r.running(); p != nil {
		_ = p.os.Kill() // It may just have ended.
		<-p.ended
	}
}

// Terminate asks the process to end and waits until it has, with its error. A
// process that a failpoint has killed meanwhile ends with an error too.
func (r *Replica) Terminate(ctx context.Context) error {
	p := r.running()
	if p == nil {
		return nil
	}
	r.signal(p, syscall.SIGTERM)
	timer := time.NewTimer(StopLimit)
	defer timer.Stop()
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("replica %s ended with %w", r.Name, p.err)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("replica %s did not end within %v of SIGTERM", r.Name, StopLimit)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends the process and the links.
func (r *Replica) close() {
	r.Signal(Thaw)
	r.Kill()
	for _, link := range r.Links() {
		link.close()
	}
}

// tail keeps what a person can read of a log.
func tail(text []byte) []byte { return text[max(0, len(text)-4000):] }

// through returns a URL that leads through a proxy.
func through(raw string, p *Proxy) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return "", fmt.Errorf("%s names no port: %w", u.Redacted(), err)
	}
	u.Host = p.addr()
	return u.String(), nil
}
