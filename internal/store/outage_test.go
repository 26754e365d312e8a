package store_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/waittest"
)

const (
	// promised is how soon a statement must fail, and how soon the database is back
	// in use. The tests allow as much again, and a loaded machine more.
	promised = 3 * time.Second
	allowed  = 2 * promised
)

// unstable opens a migrated Postgres behind a network that can fail.
func unstable(t *testing.T) (*store.Store, *storetest.Proxy) {
	t.Helper()
	proxy, cfg := storetest.NewProxy(t, storetest.PostgresConfig(t))
	cfg.MaxConns = 4
	return openStore(t, cfg), proxy
}

// sendOne does what a send does to the database, in short.
func sendOne(ctx context.Context, s *store.Store, u person) error {
	return s.InTx(u.ctx, func(tx *ent.Tx) error {
		if err := s.Lock(ctx, tx, string(u.id)); err != nil {
			return err
		}
		return tx.Conversation.Create().SetUserID(u.id).SetHeadID(pid.New(pid.Message)).Exec(u.ctx)
	})
}

// within fails the test when work takes too long, and returns its error.
func within(t *testing.T, limit time.Duration, what string, work func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	over, stop := waittest.Context(t.Context(), limit)
	defer stop()
	select {
	case err := <-done:
		return err
	case <-over.Done():
		t.Fatalf("%s has not ended within %v", what, limit)
		return nil
	}
}

// until polls until ok, and fails after the limit.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	waittest.Within(t, limit, what, ok)
}

// TestOutage lets the network fail in each way while transactions run, while none
// does, and while more want a connection than there are.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*storetest.Proxy){
		"refused": (*storetest.Proxy).Refuse,
		"hanging": (*storetest.Proxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, proxy := unstable(t)
			u := makeUser(t, s, "ada@example.com")
			ctx := t.Context()

			// One transaction is open, one waits for its statement, and many come at once.
			open := make(chan struct{})
			failed := make(chan struct{})
			var inside error
			var running sync.WaitGroup
			running.Go(func() {
				inside = s.InTx(u.ctx, func(tx *ent.Tx) error {
					close(open)
					<-failed
					_, err := tx.Conversation.Query().Count(u.ctx)
					return err
				})
			})
			<-open
			fail(proxy)
			close(failed)
			errs := make([]error, 20)
			for n := range errs {
				running.Go(func() { errs[n] = sendOne(ctx, s, u) })
			}
			_ = within(t, allowed, "the statements of the outage", func() error { running.Wait(); return nil })
			for _, err := range append(errs, inside) {
				checkOutage(t, err)
			}
			until(t, allowed, "Ping fails", func() bool { return s.Ping(ctx) != nil })
			checkOutage(t, s.Ping(ctx))
			// Now that it is known, nothing waits at all: not even without a deadline.
			for range 100 {
				checkOutage(t, within(t, promised/3, "a statement during the outage",
					func() error { return sendOne(ctx, s, u) }))
			}
			if _, err := s.Now(ctx); err == nil {
				t.Error("the clock of a database that is away can be read")
			}

			proxy.Pass()
			until(t, allowed, "Ping works again", func() bool { return s.Ping(ctx) == nil })
			for range 10 { // As many as take every connection of the pool, and more.
				running.Go(func() {
					if err := sendOne(ctx, s, u); err != nil {
						t.Errorf("after the outage: %v", err)
					}
				})
			}
			running.Wait()
		})
	}
}

// TestConnectionsDie lets only the connections there are die: each may cost a
// statement, but none is used again.
func TestConnectionsDie(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*testing.T, *storetest.Proxy, *store.Store){
		"reset": func(_ *testing.T, p *storetest.Proxy, _ *store.Store) { p.Cut() },
		"hang":  func(_ *testing.T, p *storetest.Proxy, _ *store.Store) { p.HangOld() },
		"terminated": func(t *testing.T, _ *storetest.Proxy, s *store.Store) {
			_, err := s.Client().ExecContext(t.Context(),
				"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()")
			checkOutage(t, err) // It was among them.
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, proxy := unstable(t)
			u := makeUser(t, s, "ada@example.com")
			inside := s.InTx(u.ctx, func(tx *ent.Tx) error {
				fail(t, proxy, s)
				_, err := tx.Conversation.Query().Count(u.ctx)
				return err
			})
			checkOutage(t, inside)
			until(t, allowed, "it works again", func() bool {
				err := within(t, allowed, "a statement", func() error { return sendOne(t.Context(), s, u) })
				if err != nil {
					checkOutage(t, err)
				}
				return err == nil && s.Ping(t.Context()) == nil
			})
		})
	}
}

// TestCommitIsAmbiguous loses the answer to a commit. Whatever has become of it, it
// must not look like a success.
func TestCommitIsAmbiguous(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*storetest.Proxy){
		"reset": (*storetest.Proxy).Cut,
		"hang":  (*storetest.Proxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, proxy := unstable(t)
			u := makeUser(t, s, "ada@example.com")
			checkOutage(t, within(t, allowed, "the commit", func() error {
				return s.InTx(u.ctx, func(tx *ent.Tx) error {
					err := tx.Conversation.Create().SetUserID(u.id).SetHeadID(pid.New(pid.Message)).Exec(u.ctx)
					fail(proxy)
					return err
				})
			}))
		})
	}
}

// TestContextEnds breaks off each kind of statement on the one connection that hangs,
// by its own context. Nobody else notices: the watch has its own, which works.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(context.Context, *store.Store) error{
		"query": func(ctx context.Context, s *store.Store) error {
			_, err := s.Client().QueryContext(ctx, "SELECT 1")
			return err
		},
		"exec": func(ctx context.Context, s *store.Store) error {
			_, err := s.Client().ExecContext(ctx, "SELECT 1")
			return err
		},
		"begin": func(ctx context.Context, s *store.Store) error {
			return s.InTx(ctx, func(*ent.Tx) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, proxy := patient(t)
			var port int
			pool, _ := s.Pools()
			if err := pool.QueryRowContext(t.Context(), "SELECT inet_client_port()").Scan(&port); err != nil {
				t.Fatal(err)
			}
			lost := proxy.HangOne(port)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				select {
				case <-lost:
					cancel()
				case <-ctx.Done():
				}
			}()
			if err := within(t, allowed, name, func() error { return work(ctx, s) }); !errors.Is(ctx.Err(),
				context.Canceled) || err == nil {
				t.Errorf("got %v, want an error, and the statement lost on a connection that hangs", err)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("ping: %v, want nobody else to notice", err)
			}
		})
	}
}

// TestCancelledStatement lets the server end what nobody waits for any more. The
// connection is not used again, and the pool is as it was.
func TestCancelledStatement(t *testing.T) {
	t.Parallel()
	s, _ := unstable(t)
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := s.Client().ExecContext(ctx, "SELECT pg_sleep(4)")
		cancel()
		if err == nil {
			t.Error("got no error for a statement longer than its context")
		}
	}
	for range 8 {
		if _, err := s.Now(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

// TestConnectsOnce leaves no socket behind where lib/pq dials twice for one
// connection: the first time for TLS, which the server does not speak.
func TestConnectsOnce(t *testing.T) {
	// Not parallel: it counts the sockets of the whole process.
	cfg := storetest.PostgresConfig(t)
	s := openStore(t, store.Config{DatabaseURL: withQuery(t, cfg.DatabaseURL, "sslmode", "prefer")})
	before := countSockets(t)
	for range 20 { // Each costs a connection, so that the next makes a new one.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := s.Client().ExecContext(ctx, "SELECT pg_sleep(4)")
		cancel()
		if err == nil {
			t.Error("got no error for a statement longer than its context")
		}
	}
	until(t, allowed, "as few sockets are open as before", func() bool {
		runtime.GC() // What nothing refers to is closed.
		return countSockets(t) <= before
	})
}

func countSockets(t *testing.T) int {
	t.Helper()
	const dir = "/proc/self/fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("the sockets cannot be counted here: %v", err)
	}
	sockets := 0
	for _, file := range open {
		// An error means that it has been closed since.
		if to, err := os.Readlink(filepath.Join(dir, file.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	return sockets
}

// TestReadOnly takes a database that can only be read for one that is away: a
// primary that has been demoted.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s, proxy := unstable(t)
	ctx := t.Context()
	admin := openStore(t, store.Config{DatabaseURL: os.Getenv(storetest.URLVariable)})
	var name string
	write, _ := s.Pools()
	if err := write.QueryRowContext(ctx, "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		if _, err := admin.Client().
			ExecContext(ctx, "ALTER DATABASE "+name+" SET default_transaction_read_only = "+value); err != nil {
			t.Fatal(err)
		}
		proxy.Cut() // The setting is read on connecting.
	}
	set("on")
	until(t, allowed, "Ping fails", func() bool { return s.Ping(ctx) != nil })
	if err := s.Ping(ctx); !store.IsOutage(err) {
		t.Errorf("got %v, want an outage", err)
	}
	set("off")
	until(t, allowed, "Ping works again", func() bool { return s.Ping(ctx) == nil })
}

// checkOutage checks that whoever asks learns of an outage as one.
func checkOutage(t *testing.T, err error) {
	t.Helper()
	if !store.IsUnavailable(err) {
		t.Errorf("got %v (%T), want the error of a database that is away", err, err)
	}
}

// TestOpenDuringOutage tells by its error whether to try again.
func TestOpenDuringOutage(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewProxy(t, storetest.PostgresConfig(t))
	for _, network := range []struct {
		name string
		fail func()
	}{{"hanging", proxy.Hang}, {"refused", proxy.Refuse}} {
		network.fail()
		for what, open := range map[string]func(context.Context) error{
			"Open": func(ctx context.Context) error {
				s, err := store.Open(ctx, cfg, slog.New(slog.DiscardHandler))
				if err == nil {
					_ = s.Close()
				}
				return err
			},
			"Migrate": func(ctx context.Context) error { _, err := store.Migrate(ctx, cfg); return err },
		} {
			if err := within(t, 4*promised, what, func() error { return open(t.Context()) }); !store.IsOutage(err) {
				t.Errorf("%s, %s: %v, want an outage", network.name, what, err)
			}
			// Whoever does not want to wait need not.
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := within(t, promised, what, func() error { return open(ctx) }); err == nil {
				t.Errorf("%s, %s: got no error", network.name, what)
			}
			cancel()
		}
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	for limit, want := range map[string]time.Duration{
		"5000": 7 * time.Second, "5s": 7 * time.Second, "1min": 62 * time.Second, "500ms": 2500 * time.Millisecond,
		"0": 0, "": 0, "1d": 0, "soon": 0, "-1": 0,
	} {
		if got := store.SilenceOf(pq.Config{Runtime: map[string]string{"statement_timeout": limit}}); got != want {
			t.Errorf("statement_timeout=%s: got %v, want %v", limit, got, want)
		}
	}
}

// TestFailover names two servers in the URL and loses the one in use.
func TestFailover(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	first, through := storetest.NewProxy(t, cfg)
	_, other := storetest.NewProxy(t, cfg)
	u, err := url.Parse(through.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(other.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("port", u.Port()+","+second.Port())
	query.Set("target_session_attrs", "read-write")
	u.Host, u.RawQuery = u.Hostname()+","+second.Hostname(), query.Encode()
	s := openStore(t, store.Config{DatabaseURL: u.String()})
	owner := makeUser(t, s, "ada@example.com")
	first.Refuse()
	until(t, allowed, "the other server is used", func() bool {
		return sendOne(t.Context(), s, owner) == nil && s.Ping(t.Context()) == nil
	})
}
