package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// bench holds what all modes share.
type bench struct {
	options  options
	admin    string // Of Postgres.
	dir      string
	versions []*version // The older one first.
	issuer   *issuer
	helpers  []*process
	model    string // Its address.
	relay    *target
	direct   *target
	progress io.Writer

	mu      sync.Mutex // guards notes and broken while several goroutines look
	figures figures
	notes   []string
	wrong   int
	broken  int // Rules that did not hold.
	users   int // Handed out so far.
}

// violate notes that a rule did not hold, which makes the run a failed one.
func (b *bench) violate(format string, args ...any) {
	b.broken++
	b.note("VIOLATED: "+format, args...)
}

// target is something that replies: the model itself, the relay before it, or a server.
type target struct {
	name     string
	database string
	version  *version
	addr     string
	process  *process
	server   *server  // nil for the model, the relay and bare servers.
	bare     *storage // Of a bare server; nil for all others.
}

// newBench builds the server and starts the model and the relay. The caller closes it.
func newBench(ctx context.Context, o options, admin string, progress io.Writer) (_ *bench, err error) {
	debug.SetGCPercent(400) // What the client costs is taken from the servers under test.
	b := &bench{options: o, admin: admin, progress: progress, figures: make(figures)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "parley-perf-binary-"); err != nil {
		return nil, err
	}
	if o.binary != "" {
		v, err := other(ctx, o.binary)
		if err != nil {
			return nil, err
		}
		b.versions = append(b.versions, v)
	}
	v, err := build(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	b.versions = append(b.versions, v)
	if b.issuer, err = startIssuer(); err != nil {
		return nil, err
	}
	model, addr, err := spawnSelf("model")
	if err != nil {
		return nil, err
	}
	b.helpers, b.model = append(b.helpers, model), addr
	b.direct = &target{name: "direct", addr: addr, process: model}
	if b.relay, err = b.newRelay(); err != nil {
		return nil, err
	}
	return b, nil
}

// newRelay starts a relay, which close stops.
func (b *bench) newRelay() (*target, error) {
	p, addr, err := spawnSelf("relay", b.model)
	if err != nil {
		return nil, err
	}
	b.helpers = append(b.helpers, p)
	return &target{name: relayName, addr: addr, process: p}, nil
}

// close ends all processes and removes the binary.
func (b *bench) close() error {
	for _, p := range b.helpers {
		p.stop()
	}
	var err error
	if b.issuer != nil {
		err = b.issuer.close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...) // Only for who waits.
}

// note keeps a line for below the table.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// columnOf names a server by its database and version.
func (b *bench) columnOf(database string, v *version) string {
	name := databaseTitles[database]
	if len(b.versions) > 1 {
		name += " " + v.name
	}
	return name
}

func bareColumn(database string) string { return "bare " + databaseTitles[database] }

// databaseTitles are the databases as the table names them.
var databaseTitles = map[string]string{sqliteName: "SQLite", postgresName: "Postgres"}

// startServers starts a server of every version on every database, each warm. The caller
// calls stop.
func (b *bench) startServers(ctx context.Context) (targets []*target, stop func() error, err error) {
	stop = func() error {
		var errs []error
		for _, t := range targets {
			errs = append(errs, b.stop(ctx, t))
		}
		return errors.Join(errs...)
	}
	warmed := func(t *target, err error) error {
		if err != nil {
			return err
		}
		targets = append(targets, t)
		return b.warm(ctx, t)
	}
	for _, database := range b.options.databases {
		var err error
		if b.options.bare {
			err = warmed(b.startBare(ctx, database))
		}
		for _, v := range b.versions {
			if err == nil {
				err = warmed(b.start(ctx, database, v))
			}
		}
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
	}
	return targets, stop, nil
}

// startBare starts a bare server on an empty database. Its store is no other than that of a
// server, so that it can be removed like one.
func (b *bench) startBare(ctx context.Context, database string) (*target, error) {
	s, err := newStorage(ctx, database, b.admin)
	if err != nil {
		return nil, err
	}
	name := s.dir
	if database == postgresName {
		name = s.url
	}
	p, addr, err := spawnSelf("bare", b.model, database, name)
	if err != nil {
		return nil, errors.Join(err, s.remove(ctx))
	}
	return &target{name: bareColumn(database), database: database, addr: addr, process: p, bare: s}, nil
}

// start starts one server on an empty database and returns when it is ready.
func (b *bench) start(ctx context.Context, database string, v *version, more ...string) (*target, error) {
	s, err := newStorage(ctx, database, b.admin)
	if err != nil {
		return nil, err
	}
	r, err := b.launch(v, s, more...)
	if err != nil {
		return nil, errors.Join(err, s.remove(ctx))
	}
	return b.readied(ctx, r, database, v)
}

// startBeside starts one more server on the database of another one, which is stopped later.
func (b *bench) startBeside(ctx context.Context, first *target, more ...string) (*target, error) {
	r, err := b.launch(first.version, first.server.storage, more...)
	if err != nil {
		return nil, err
	}
	r.guest = true
	return b.readied(ctx, r, first.database, first.version)
}

// readied waits until a server is ready, and stops one that does not become it.
func (b *bench) readied(ctx context.Context, r *server, database string, v *version) (*target, error) {
	t := &target{name: b.columnOf(database, v), database: database, version: v, addr: r.addr, process: r.process,
		server: r}
	if err := r.listening(ctx); err != nil {
		return nil, errors.Join(err, r.stop(ctx))
	}
	for !r.ready(ctx) {
		if err := until(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return nil, errors.Join(err, r.stop(ctx))
		}
	}
	return t, nil
}

// stop ends a server, and notes what its log warns of.
func (b *bench) stop(ctx context.Context, t *target) error {
	if t.bare != nil {
		t.process.stop()
		return t.bare.remove(ctx)
	}
	counts := t.server.warnings()
	for _, message := range slices.Sorted(maps.Keys(counts)) {
		b.note("%s, log: %d × %s.", t.name, counts[message], message)
	}
	return t.server.stop(ctx)
}

// warm lets a server answer some questions that do not count.
func (b *bench) warm(ctx context.Context, t *target) error {
	_, err := b.drive(ctx, "warming", t, 2, load{tokens: 10, replies: 15, perConversation: 5})
	return err
}

// openers is how many chats are opened side by side.
const openers = 32

// open opens n chats with a target. The caller closes them by closeAll.
func (b *bench) open(ctx context.Context, t *target, n int) ([]chat, error) {
	if t.server == nil && t.bare == nil {
		return openStreams(t.addr, n), nil
	}
	chats := make([]chat, n)
	errs := make([]error, n)
	first := b.users
	b.users += (n + socketsOfUser - 1) / socketsOfUser
	next := make(chan int)
	var opening sync.WaitGroup
	for range min(openers, n) {
		opening.Go(func() {
			for i := range next {
				user := first + i/socketsOfUser
				token, err := b.issuer.token(fmt.Sprint("user-", user))
				if err == nil {
					var c *socketChat
					if t.server != nil && t.server.debug != "" {
						user = noUser
					}
					if c, err = openSocket(ctx, t.addr, user, token); err == nil {
						chats[i] = c
					}
				}
				errs[i] = err
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	opening.Wait()
	if err := errors.Join(errs...); err != nil {
		closeAll(slices.DeleteFunc(chats, func(c chat) bool { return c == nil }))
		return nil, fmt.Errorf("%s: open %d chats: %w", t.name, n, firstOf(err))
	}
	return chats, nil
}

// firstOf returns the first of joined errors: the others say the same.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

func closeAll(chats []chat) {
	var closing sync.WaitGroup
	for _, c := range chats {
		closing.Go(c.close)
	}
	closing.Wait()
}

// drive opens n chats with a target, runs a load on them, closes them, and notes under
// the name what went wrong.
func (b *bench) drive(ctx context.Context, what string, t *target, n int, l load) (*outcome, error) {
	chats, err := b.open(ctx, t, n)
	if err != nil {
		return nil, err
	}
	defer closeAll(chats)
	l.pid = t.process.pid()
	wait := b.profile(ctx, what, t)
	o, err := drive(ctx, chats, l)
	wait()
	if err != nil {
		return nil, err
	}
	b.judge(what, t, o)
	return o, nil
}

// judge notes what went wrong in a turn. Where a reply was wrong, the run is.
func (b *bench) judge(what string, t *target, o *outcome) {
	b.wrong += len(o.wrong)
	for _, err := range o.wrong[:min(len(o.wrong), 3)] {
		b.note("WRONG: %s, %s: %v", what, t.name, err)
	}
	if len(o.wrong) > 3 {
		b.note("WRONG: %s, %s: and %d more.", what, t.name, len(o.wrong)-3)
	}
	if o.restarts > 0 {
		b.note("%s, %s: %d replies were begun anew while they were watched.", what, t.name, o.restarts)
	}
	for _, code := range slices.Sorted(maps.Keys(o.codes)) {
		b.note("%s, %s: %d × %s.", what, t.name, o.codes[code], code)
	}
}

// turns lets the targets take turns, as often as there are rounds.
func (b *bench) turns(rounds int, targets []*target, one func(round int, t *target) error) error {
	for round := range rounds {
		for _, t := range targets {
			if err := one(round, t); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	return nil
}

// callsOf asks the model server what it has been asked for, after a reset when told so.
func (b *bench) callsOf(ctx context.Context, reset bool) (calls, error) {
	var c calls
	method, path := http.MethodGet, "/calls"
	if reset {
		method, path = http.MethodPost, "/reset"
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+b.model+path, nil)
	if err != nil {
		return c, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return c, err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	if reset {
		return c, nil
	}
	return c, json.NewDecoder(response.Body).Decode(&c)
}
