package faulttest

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
	"sync"
	"syscall"
	"time"
)

// clusterConfig says what a cluster is like.
type clusterConfig struct {
	binary string
	// admin is the URL of a Postgres server that may be used; empty means SQLite,
	// and one replica.
	admin    string
	replicas int
	lease    time.Duration
	// bus gives the replicas a NATS server. A lossy one loses, doubles and shuffles
	// what they send, after the seed.
	bus     bool
	lossy   bool
	seed    uint64
	environ []string // More settings for every replica.
}

// maxRunning is how many replies a user may have running in a cluster; the load
// asks for more now and then.
const maxRunning = 3

// cluster is a whole installation: replicas, their database, and the model.
type cluster struct {
	cfg      clusterConfig
	dir      string
	history  *history
	model    *model
	database *database
	broker   *broker // nil without NATS.
	replicas []*replica
	// armed is the folder of failpoints, shared by all replicas, so that each is
	// hit once in the whole cluster.
	armed string
}

// startCluster starts everything and returns when all replicas are ready. The
// caller closes it.
func startCluster(ctx context.Context, cfg clusterConfig, h *history) (_ *cluster, err error) {
	c := &cluster{cfg: cfg, history: h}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(ctx))
		}
	}()
	if c.dir, err = os.MkdirTemp("", "parley-fault-"); err != nil {
		return nil, err
	}
	c.armed = filepath.Join(c.dir, "failpoints")
	if err = os.Mkdir(c.armed, 0o700); err != nil {
		return nil, err
	}
	if c.model, err = startModel(h); err != nil {
		return nil, err
	}
	data := filepath.Join(c.dir, "data")
	if err = os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if cfg.admin == "" {
		c.database, err = newSQLite(data)
	} else {
		c.database, err = newPostgres(ctx, cfg.admin)
	}
	if err != nil {
		return nil, err
	}
	if err = c.migrate(ctx, data); err != nil {
		return nil, err
	}
	if err = c.database.watch(ctx); err != nil {
		return nil, err
	}
	if cfg.bus {
		if c.broker, err = startBroker(); err != nil {
			return nil, err
		}
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // Never fails.
	common := append([]string{
		"PARLEY_DATA_DIR=" + data,
		"PARLEY_AUTH_KEYS=test:" + base64.RawURLEncoding.EncodeToString(secret),
		"PARLEY_MODELS=" + modelName,
		"PARLEY_SIGNUP=open",
		"PARLEY_SENDS_PER_MINUTE=0",
		fmt.Sprintf("PARLEY_MAX_RUNNING=%d", maxRunning),
		"PARLEY_LEASE=" + cfg.lease.String(),
		"PARLEY_DRAIN=500ms", // Nobody balances a load here.
		"PARLEY_TEST_FAILPOINTS=" + c.armed,
		"GORACE=exitcode=66",
	}, cfg.environ...)
	for n := range cfg.replicas {
		r, err := c.newReplica(fmt.Sprintf("r%d", n), common)
		if err != nil {
			return nil, err
		}
		c.replicas = append(c.replicas, r)
	}
	return c, c.startAll(ctx)
}

// lease is how long a replica may be out of touch.
func (c *cluster) lease() time.Duration { return c.cfg.lease }

// migrate prepares the database before the first replica starts.
func (c *cluster) migrate(ctx context.Context, data string) error {
	cmd := exec.CommandContext(ctx, c.cfg.binary, "migrate")
	cmd.Env = []string{"PARLEY_DATA_DIR=" + data, "PARLEY_DATABASE_URL=" + c.database.url}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("parley migrate: %w\n%s", err, out)
	}
	return nil
}

func (c *cluster) newReplica(name string, common []string) (*replica, error) {
	r := &replica{name: name, dir: c.dir, binary: c.cfg.binary}
	var err error
	if r.client, err = newProxy(""); err != nil {
		return nil, err
	}
	if r.upstream, err = newProxy(c.model.addr()); err != nil {
		return nil, err
	}
	r.environ = append(append([]string{}, common...), "OPENAI_BASE_URL=http://"+r.upstream.addr()+"/v1")
	if c.database.url != "" {
		u, err := url.Parse(c.database.url)
		if err != nil {
			return nil, err
		}
		if r.postgres, err = newProxy(u.Host); err != nil {
			return nil, err
		}
		behind, err := through(c.database.url, r.postgres)
		if err != nil {
			return nil, err
		}
		r.environ = append(r.environ, "PARLEY_DATABASE_URL="+behind)
	}
	if c.broker != nil {
		if r.bus, err = newProxy(c.broker.addr()); err != nil {
			return nil, err
		}
		r.environ = append(r.environ, "PARLEY_NATS_URL=nats://"+r.bus.addr())
	}
	if c.broker != nil && c.cfg.lossy {
		r.environ = append(r.environ, fmt.Sprintf("PARLEY_TEST_LOSSY_BUS=drop=30,duplicate=10,reorder=10,seed=%d",
			c.cfg.seed))
	}
	return r, nil
}

// startAll starts the replicas that do not run, side by side.
func (c *cluster) startAll(ctx context.Context) error {
	errs := make([]error, len(c.replicas))
	var starting sync.WaitGroup
	for n, r := range c.replicas {
		starting.Go(func() { errs[n] = r.start(ctx) })
	}
	starting.Wait()
	return errors.Join(errs...)
}

// endAll asks all replicas to end, side by side, and wants each to do so in order:
// nothing runs any more that would keep it.
func (c *cluster) endAll(ctx context.Context) error {
	errs := make([]error, len(c.replicas))
	var ending sync.WaitGroup
	for n, r := range c.replicas {
		ending.Go(func() { errs[n] = r.terminate(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// close ends everything and drops the database. The folder with the logs stays
// until remove.
func (c *cluster) close(ctx context.Context) error {
	for _, r := range c.replicas {
		r.close()
	}
	if c.model != nil {
		c.model.close()
	}
	if c.broker != nil {
		c.broker.stop()
	}
	if c.database == nil {
		return nil
	}
	return c.database.drop(context.WithoutCancel(ctx))
}

// remove deletes the logs and data.
func (c *cluster) remove() { _ = os.RemoveAll(c.dir) } // Left-overs in the temporary folder harm nobody.

// arm makes the next goroutine of any replica that reaches the point do what the
// word says: kill, stop or panic.
func (c *cluster) arm(point, word string) error {
	// Renamed into place, so that no replica finds half of it.
	half := filepath.Join(c.dir, "half-"+point)
	if err := os.WriteFile(half, []byte(word), 0o600); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(c.armed, point+".hit")) // Of an earlier time, perhaps.
	return os.Rename(half, filepath.Join(c.armed, point))
}

// disarm takes a point back and reports whether nobody had reached it.
func (c *cluster) disarm(point string) bool {
	return os.Remove(filepath.Join(c.armed, point)) == nil
}

// wasHit reports whether a replica has reached the point since it was armed.
func (c *cluster) wasHit(point string) bool {
	_, err := os.Stat(filepath.Join(c.armed, point+".hit"))
	return err == nil
}

// revive lets processes that a failpoint has stopped go on, and starts those that
// it has killed.
func (c *cluster) revive(ctx context.Context) error {
	for _, r := range c.replicas {
		r.signal(syscall.SIGCONT)
	}
	return c.startAll(ctx)
}

// heal ends everything that may still be wrong and returns when all replicas are
// ready.
func (c *cluster) heal(ctx context.Context) error {
	for _, r := range c.replicas {
		for _, link := range r.links() {
			link.heal()
		}
	}
	err := c.revive(ctx)
	if c.broker != nil {
		err = errors.Join(err, c.broker.start())
	}
	c.history.add(record{Op: opHeal})
	return err
}

// complaint matches a race, a crash, and a panic that was caught. Only those that a
// failpoint was armed for are in order.
var complaint = regexp.MustCompile(`DATA RACE|^panic: |^fatal error: | panic=`)

// complaints finds in the replicas' logs what no fault excuses.
func (c *cluster) complaints() error {
	logs, err := filepath.Glob(filepath.Join(c.dir, "*.log"))
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
