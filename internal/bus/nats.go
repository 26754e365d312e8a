package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fact"
	"parley/internal/reply"
)

// How often listeners are made to doubt, each of them. Without a connection every
// fact of another replica is lost.
const (
	doubtConnected    = 5 * time.Second
	doubtDisconnected = 2 * time.Second
	// doubtHurried is for the round after a connection was made.
	doubtHurried = 500 * time.Millisecond
)

// Bounds of what waits for the network. What does not fit is lost.
const (
	factQueue   = 1024
	pieceQueue  = 1024
	letterQueue = 256
)

// flushLimit is how long Close tries to send what was published before it,
// closeLimit when it cuts a connection that does not let it.
const (
	flushLimit = time.Second
	closeLimit = 1500 * time.Millisecond
)

// firstAttempt is how long Connect waits for a connection.
const firstAttempt = 2 * time.Second

// Config says how to reach the other replicas.
type Config struct {
	// URL is one or several nats:// or tls:// URLs, separated by commas. A user
	// name and a password in them are used and never logged.
	URL string
	// Namespace keeps installations that share a server apart, see the function of
	// that name. It holds lower-case letters, digits and underscores.
	Namespace string
	// Lossy is for tests.
	Lossy Lossy
	Log   *slog.Logger
}

// NATS is an fact.Bus and an reply.Wire over core NATS. The listeners of this
// replica are served as Local serves them, before and independently of the
// network; a topic or a reply has a NATS subscription while somebody here listens
// to it. No method but Connect and Close ever waits for the network. It is safe for
// concurrent use. It starts goroutines; Close it.
//
// Delivery is at most once, and NATS does not tell all losses. Listeners are
// therefore signalled on Missed: when NATS has confirmed the subscription of their
// topic, so that what was published meanwhile is not lost; shortly after each
// (re)connection; when this replica could not keep up; every few seconds while
// connected, and more often while not. A cluster may need some milliseconds more
// after the confirmation until all its servers know of a subscription; a fact
// published right then shows at the next of the regular signals.
//
// Peers are trusted to be of the same installation: whoever may publish below
// parley.<namespace> can make replicas read the database in vain and show viewers
// a false text until the reply ends. What does not make sense is ignored.
type NATS struct {
	*Local
	log      *slog.Logger
	subjects subjects
	shim     *shim
	line     line
	redact   *strings.Replacer

	connected atomic.Bool
	closing   atomic.Bool
	// hurry is how many shares of the listeners are to be signalled in a hurry.
	hurry atomic.Int32

	interests   interests
	unconfirmed confirmations
	facts       chan fact.Fact
	pieces      chan reply.Piece
	letters     chan letter
	asks        asks
	following   following

	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// ended is closed when the client has made its last call back.
	ended chan struct{}

	trouble trouble
	// distrusted is what Distrusted returns; nil: nothing.
	distrusted atomic.Pointer[string]
}

// Connect starts a bus and waits a moment for its connection. That NATS cannot be
// reached or refuses the credentials is no error: the bus tries again until it is
// closed, and logs it. Errors: a configuration that can never work, and the end of
// ctx, which otherwise has no effect on the bus.
func Connect(ctx context.Context, cfg Config) (*NATS, error) {
	redact, err := checkURLs(cfg.URL)
	if err != nil {
		return nil, err
	}
	subjects, ok := newSubjects(cfg.Namespace)
	if !ok {
		return nil, fmt.Errorf("NATS namespace %q holds other characters than a-z, 0-9 and _", cfg.Namespace)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n := &NATS{
		Local:       NewLocal(),
		log:         cfg.Log,
		subjects:    subjects,
		shim:        newShim(cfg.Lossy),
		redact:      redact,
		interests:   interests{wake: make(chan struct{}, 1)},
		unconfirmed: confirmations{wake: make(chan struct{}, 1)},
		facts:       make(chan fact.Fact, factQueue),
		pieces:      make(chan reply.Piece, pieceQueue),
		letters:     make(chan letter, letterQueue),
		asks:        asks{inbox: strings.ToLower(rand.Text())},
		cancel:      cancel,
		ended:       make(chan struct{}),
	}
	n.heard = n.hearTopic
	n.interests.set(n.subjects.answers(n.asks.inbox)+"*", &interest{hear: n.hearAnswer})
	tried := make(chan error, 1)
	n.tasks.Go(func() { n.run(running, cfg.URL, tried) })
	n.tasks.Go(func() { n.Doubt(running, n.doubtInterval) })

	enough := time.NewTimer(firstAttempt)
	defer enough.Stop()
	select {
	case err = <-tried:
	case <-enough.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return n, nil
}

// Close sends what was published before, if that takes no longer than a moment,
// and ends the bus. Listeners stay open; facts of this replica still reach them.
// It may be called more than once.
func (n *NATS) Close() {
	n.closing.Store(true)
	n.interests.close()
	n.cancel()
	cut := time.AfterFunc(closeLimit, n.line.cut)
	defer cut.Stop()
	n.tasks.Wait()
}

// Connected reports whether there is a connection to NATS, as far as is known: a
// connection that died silently is noticed within five seconds.
func (n *NATS) Connected() bool { return n.connected.Load() }

// Publish implements fact.Bus. The listeners of this replica have the fact when it
// returns.
func (n *NATS) Publish(f fact.Fact) {
	n.Local.Publish(f)
	if !n.Connected() {
		return
	}
	select {
	case n.facts <- f.Hint():
	default:
		n.gaps.Of(gapSent).Inc()
	}
}

func (n *NATS) doubtInterval() time.Duration {
	switch {
	case n.hurry.Load() > 0:
		n.hurry.Add(-1)
		return doubtHurried
	case n.Connected():
		return doubtConnected
	}
	return doubtDisconnected
}

// checkURLs refuses what the client would only fail at, without repeating it, and
// returns what takes the credentials out of a text.
func checkURLs(list string) (redact *strings.Replacer, err error) {
	var secrets []string
	for _, text := range strings.Split(list, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil:
			return nil, errors.New("NATS: not a URL; special characters in a password are percent-encoded")
		case u.Scheme != "nats" && u.Scheme != "tls":
			return nil, errors.New("NATS: a URL does not start with nats:// or tls://")
		case u.Hostname() == "":
			return nil, errors.New("NATS: a URL names no host")
		}
		if u.User != nil && u.User.String() != "" {
			secrets = append(secrets, spellings(text, u.User)...)
		}
	}
	// Whole spellings before their parts.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, s := range secrets {
		pairs = append(pairs, s, "[redacted]")
	}
	return strings.NewReplacer(pairs...), nil
}

// spellings are the ways in which credentials could be written in an error: as the URL
// has them, as a library would write them, and the password alone, decoded.
func spellings(text string, user *url.Userinfo) []string {
	all := []string{user.String()}
	if _, rest, ok := strings.Cut(text, "://"); ok {
		if at := strings.LastIndex(rest, "@"); at > 0 {
			all = append(all, rest[:at])
		}
	}
	if password, _ := user.Password(); password != "" {
		all = append(all, password)
	}
	return all
}

// options configures the client. It pings often, because a connection that died
// silently eats everything until it is noticed.
func (n *NATS) options(ctx context.Context) []nats.Option {
	connected := func(conn *nats.Conn) { n.onConnect(ctx, conn) }
	return []nats.Option{
		nats.Name("parley"),
		nats.NoEcho(),
		nats.Timeout(2 * time.Second),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // What is late is worthless: it is read from the database by then.
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(600*time.Millisecond, 600*time.Millisecond),
		nats.PingInterval(1500 * time.Millisecond),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(2 * time.Second),
		nats.SkipHostLookup(), // The dialer resolves names, and can be stopped.
		nats.SetCustomDialer(dialFunc(func(network, address string) (net.Conn, error) {
			return n.line.dial(ctx, network, address)
		})),
		nats.ConnectHandler(connected),
		nats.ReconnectHandler(connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.onDisconnect(ctx, err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { n.onFailure(ctx, err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { n.onError(ctx, err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(n.ended) }),
	}
}

func (n *NATS) onConnect(ctx context.Context, conn *nats.Conn) {
	n.trouble.over()
	n.distrusted.Store(nil)
	_, err := conn.TLSConnectionState()
	n.log.InfoContext(ctx, "connected to NATS", "server", conn.ConnectedUrlRedacted(), "tls", err == nil)
	n.connected.Store(true)
	n.unconfirmed.addAll()
}

func (n *NATS) onDisconnect(ctx context.Context, err error) {
	n.connected.Store(false)
	n.asks.fail()
	if n.closing.Load() {
		return
	}
	n.log.WarnContext(ctx, "disconnected from NATS; other replicas are heard through the database only", "err",
		n.safe(err))
}

// onError hears of refused subjects and the like. That this replica was too slow
// for a topic is seen where the topic is heard.
func (n *NATS) onError(ctx context.Context, err error) {
	if !errors.Is(err, nats.ErrSlowConsumer) {
		n.warn(ctx, "NATS refuses something", err)
	}
}

// warn logs what repeats itself once, until it changes or a while has passed.
func (n *NATS) warn(ctx context.Context, message string, err error) {
	if text := n.safe(err); !n.closing.Load() && n.trouble.isNew(text) {
		n.log.WarnContext(ctx, message, "err", text)
	}
}

// safe is the text of an error without credentials.
func (n *NATS) safe(err error) string {
	if err == nil {
		return "connection closed"
	}
	return n.redact.Replace(err.Error())
}

// trouble remembers what was complained about last.
type trouble struct {
	mu sync.Mutex
	// text and at are guarded by mu.
	text string
	at   time.Time
}

// troubleAgain is when a complaint is repeated.
const troubleAgain = time.Minute

func (t *trouble) isNew(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text == t.text && time.Since(t.at) < troubleAgain {
		return false
	}
	t.text, t.at = text, time.Now()
	return true
}

func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = ""
}
