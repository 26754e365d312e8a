// Package cluster runs Parley as it is run for real: replicas as processes of the built
// binary, their database, a NATS server, a scripted model server, and a proxy on every
// link between them. It starts, stops, kills and freezes them, and arms their failpoints.
//
// It owns the processes, the ports and the temporary folders. It decides no fault, which is
// for package nemesis, and it asks the server nothing, which is for package client. What
// the model and the database saw goes into the history. Its one invariant: the log of
// changes is written by the database itself, so that no bug of the server can hide one.
//
// What lives where: cluster.go has the whole, replica.go a process and its place, proxy.go
// a link, database.go the harness's own way to the database, broker.go NATS, model.go the
// model server, build.go the binary, and child_linux.go, child_unix.go and
// child_windows.go what only some systems can do.
package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"parley/test/faults/history"
)

// Config says what a cluster is like.
type Config struct {
	Binary string
	// Admin is the URL of a Postgres server that may be used; empty means SQLite,
	// and one replica.
	Admin    string
	Replicas int
	Lease    time.Duration
	// Bus gives the replicas a NATS server. A lossy one loses, doubles and shuffles
	// what they send, after the seed.
	Bus     bool
	Lossy   bool
	Seed    uint64
	Environ []string // More settings for every replica.
}

// MaxRunning is how many replies a user may have running in a cluster; the load
// asks for more now and then.
const MaxRunning = 3

// Cluster is a whole installation: replicas, their database, and the model.
type Cluster struct {
	// Set by Start, and left alone afterwards.
	Dir      string // Of the logs and the data.
	History  *history.History
	Model    *Model
	Database *Database
	Broker   *Broker // nil without NATS.
	Replicas []*Replica

	cfg Config
	// armed is the folder of failpoints, shared by all replicas, so that each is
	// hit once in the whole cluster.
	armed string
}

// Start starts everything and returns when all replicas are ready. The caller closes it.
// What model and database see goes into the history.
func Start(ctx context.Context, cfg Config, h *history.History) (_ *Cluster, err error) {
	c := &Cluster{cfg: cfg, History: h}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(ctx))
		}
	}()
	if c.Dir, err = os.MkdirTemp("", "parley-fault-"); err != nil {
		return nil, err
	}
	c.armed = filepath.Join(c.Dir, "failpoints")
	if err = os.Mkdir(c.armed, 0o700); err != nil {
		return nil, err
	}
	if c.Model, err = startModel(h); err != nil {
		return nil, err
	}
	data := filepath.Join(c.Dir, "data")
	if err = os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if cfg.Admin == "" {
		c.Database, err = newSQLite(data)
	} else {
		c.Database, err = newPostgres(ctx, cfg.Admin)
	}
	if err != nil {
		return nil, err
	}
	if err = c.migrate(ctx, data); err != nil {
		return nil, err
	}
	if err = c.Database.watch(ctx); err != nil {
		return nil, err
	}
	if cfg.Bus {
		if c.Broker, err = startBroker(); err != nil {
			return nil, err
		}
	}
	common := c.environ(data)
	for n := range cfg.Replicas {
		r, err := c.newReplica(fmt.Sprintf("r%d", n), common)
		if err != nil {
			return nil, err
		}
		// No two of their machines agree about the time; on SQLite there is one machine.
		if c.Database.url != "" {
			r.environ = append(r.environ, fmt.Sprintf("PARLEY_TEST_CLOCK_AHEAD=%ds", 25*(n-1)))
		}
		c.Replicas = append(c.Replicas, r)
	}
	return c, c.StartAll(ctx)
}

// environ is the configuration that all replicas share.
func (c *Cluster) environ(data string) []string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // Never fails.
	return append([]string{
		"PARLEY_DATA_DIR=" + data,
		"PARLEY_AUTH_KEYS=test:" + base64.RawURLEncoding.EncodeToString(secret),
		"PARLEY_MODELS=" + modelName,
		"PARLEY_SIGNUP=open",
		"PARLEY_SENDS_PER_MINUTE=0",
		fmt.Sprintf("PARLEY_MAX_RUNNING=%d", MaxRunning),
		"PARLEY_LEASE=" + c.cfg.Lease.String(),
		"PARLEY_DRAIN=500ms", // Nobody balances a load here.
		"PARLEY_TEST_FAILPOINTS=" + c.armed,
		"GORACE=exitcode=66",
	}, c.cfg.Environ...)
}

// Lease is how long a replica may be out of touch.
func (c *Cluster) Lease() time.Duration { return c.cfg.Lease }

// migrate prepares the database before the first replica starts.
func (c *Cluster) migrate(ctx context.Context, data string) error {
	cmd := exec.CommandContext(ctx, c.cfg.Binary, "migrate")
	cmd.Env = []string{"PARLEY_DATA_DIR=" + data, "PARLEY_DATABASE_URL=" + c.Database.url}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("parley migrate: %w\n%s", err, out)
	}
	return nil
}

func (c *Cluster) newReplica(name string, common []string) (*Replica, error) {
	r := &Replica{Name: name, dir: c.Dir, binary: c.cfg.Binary, history: c.History,
		frozen: frozen{since: make(map[int]time.Duration)}}
	var err error
	if r.client, err = newProxy(""); err != nil {
		return nil, err
	}
	if r.upstream, err = newProxy(c.Model.addr()); err != nil {
		return nil, err
	}
	r.environ = append(append([]string{}, common...), "OPENAI_BASE_URL=http://"+r.upstream.addr()+"/v1")
	if c.Database.url != "" {
		u, err := url.Parse(c.Database.url)
		if err != nil {
			return nil, err
		}
		if r.postgres, err = newProxy(u.Host); err != nil {
			return nil, err
		}
		behind, err := through(c.Database.url, r.postgres)
		if err != nil {
			return nil, err
		}
		r.environ = append(r.environ, "PARLEY_DATABASE_URL="+behind)
	}
	if c.Broker != nil {
		if r.bus, err = newProxy(c.Broker.addr()); err != nil {
			return nil, err
		}
		r.environ = append(r.environ, "PARLEY_NATS_URL=nats://"+r.bus.addr())
	}
	if c.Broker != nil && c.cfg.Lossy {
		r.environ = append(r.environ, fmt.Sprintf("PARLEY_TEST_LOSSY_BUS=drop=30,duplicate=10,reorder=10,seed=%d",
			c.cfg.Seed))
	}
	return r, nil
}

// StartAll starts the replicas that do not run, side by side.
func (c *Cluster) StartAll(ctx context.Context) error {
	errs := make([]error, len(c.Replicas))
	var starting sync.WaitGroup
	for n, r := range c.Replicas {
		starting.Go(func() { errs[n] = r.Start(ctx) })
	}
	starting.Wait()
	return errors.Join(errs...)
}

// EndAll asks all replicas to end, side by side, and wants each to do so in order:
// nothing runs any more that would keep it.
func (c *Cluster) EndAll(ctx context.Context) error {
	errs := make([]error, len(c.Replicas))
	var ending sync.WaitGroup
	for n, r := range c.Replicas {
		ending.Go(func() { errs[n] = r.Terminate(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// Replace upgrades a replica as it is done in production: it asks the process to end,
// waits until it has, and starts another binary in its place.
func (c *Cluster) Replace(ctx context.Context, r *Replica, binary string) error {
	if err := r.Terminate(ctx); err != nil {
		return err
	}
	c.History.Add(history.Record{Op: history.OpUpgrade, Replica: r.Name})
	r.mu.Lock()
	r.binary = binary
	r.mu.Unlock()
	return r.Start(ctx)
}

// Close ends everything and drops the database. The folder with the logs stays
// until remove.
func (c *Cluster) Close(ctx context.Context) error {
	for _, r := range c.Replicas {
		r.close()
	}
	if c.Model != nil {
		c.Model.close()
	}
	if c.Broker != nil {
		c.Broker.Stop()
	}
	if c.Database == nil {
		return nil
	}
	return c.Database.drop(context.WithoutCancel(ctx))
}

// Remove deletes the logs and data.
func (c *Cluster) Remove() { _ = os.RemoveAll(c.Dir) } // Left-overs in the temporary folder harm nobody.

// Arm makes the next goroutine of any replica that reaches the point do what the
// word says: kill, stop or panic.
func (c *Cluster) Arm(point, word string) error {
	c.noteHit(point) // Of an earlier time, perhaps.
	// Renamed into place, so that no replica finds half of it.
	half := filepath.Join(c.Dir, "half-"+point)
	if err := os.WriteFile(half, []byte(word), 0o600); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(c.armed, point+".hit"))
	return os.Rename(half, filepath.Join(c.armed, point))
}

// Disarm takes a point back and reports whether nobody had reached it.
func (c *Cluster) Disarm(point string) bool {
	return os.Remove(filepath.Join(c.armed, point)) == nil
}

// WasHit reports whether a replica has reached the point since it was armed.
func (c *Cluster) WasHit(point string) bool {
	_, err := os.Stat(filepath.Join(c.armed, point+".hit"))
	return err == nil
}

// Revive lets processes that a failpoint has stopped go on, and starts those that
// it has killed.
func (c *Cluster) Revive(ctx context.Context) error {
	for _, r := range c.Replicas {
		r.Signal(Thaw)
	}
	c.noteHits()
	return c.StartAll(ctx)
}

// noteHits records what failpoints have done since, and to which processes.
func (c *Cluster) noteHits() {
	hits, _ := filepath.Glob(filepath.Join(c.armed, "*.hit")) // The pattern is a good one.
	for _, hit := range hits {
		c.noteHit(strings.TrimSuffix(filepath.Base(hit), ".hit"))
	}
}

// noteHit records what one failpoint has done, once. The end of a process is recorded
// anyhow.
func (c *Cluster) noteHit(point string) {
	hit := filepath.Join(c.armed, point+".hit")
	text, err := os.ReadFile(hit)
	if err != nil {
		return // Nobody was there.
	}
	var word string
	var process int
	if n, _ := fmt.Sscan(string(text), &word, &process); n < 2 {
		return // It is only half written: the next look sees it. Or it was noted.
	}
	info, err := os.Stat(hit)
	if err != nil {
		return
	}
	what, at := history.Panicked, info.ModTime().Sub(c.History.Began)
	r := history.Record{Op: history.OpMishap, Process: process, From: at, At: at}
	if word == "stop" {
		what, r.At = history.Frozen, c.History.Now()
	}
	if r.Mishap = what; word != "kill" {
		c.History.AddAt(r)
	}
	_ = os.WriteFile(hit, []byte("noted"), 0o600) // Twice harms nobody.
}

// Heal ends everything that may still be wrong and returns when all replicas are
// ready.
func (c *Cluster) Heal(ctx context.Context) error {
	for _, r := range c.Replicas {
		for _, link := range r.Links() {
			link.Heal()
		}
	}
	err := c.Revive(ctx)
	if c.Broker != nil {
		err = errors.Join(err, c.Broker.Start())
	}
	c.noteHits()
	c.History.Add(history.Record{Op: history.OpHeal})
	return err
}

// complaint matches a race, a crash, and a panic that was caught. Only those that a
// failpoint was armed for are in order.
var complaint = regexp.MustCompile(`DATA RACE|^panic: |^fatal error: | panic=`)

// Complaints finds in the replicas' logs what no fault excuses.
func (c *Cluster) Complaints() error {
	logs, err := filepath.Glob(filepath.Join(c.Dir, "*.log"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range logs {
		text, err := os.ReadFile(path)
		errs = append(errs, err)
		for line := range bytes.Lines(text) {
			if complaint.Match(line) && !bytes.Contains(line, []byte(`panic="failpoint `)) {
				errs = append(errs, fmt.Errorf("%s: %s", path, bytes.TrimSpace(line)))
				break
			}
		}
	}
	return errors.Join(errs...)
}
