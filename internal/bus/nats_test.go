package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/bus"
	"parley/internal/bus/bustest"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// carries waits until facts of one bus arrive at the other.
func carries(t *testing.T, from, to fact.Bus) {
	t.Helper()
	u := pid.New(pid.User)
	sub := to.Subscribe(fact.OfUser(u))
	defer sub.Close()
	eventually(t, "a fact goes over", func() bool {
		from.Publish(created(u))
		return len(take(sub)) > 0
	})
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "nats://", "http://h", "h:4222", "nats://u:hunter2%@h", "nats://u:hunter2@h:x",
		"nats://h,", "nats://a,ws://b"} {
		n, err := bus.Connect(t.Context(), bus.Config{URL: url, Namespace: namespace})
		if err == nil {
			n.Close()
			t.Errorf("%q is accepted", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
	for _, name := range []string{"", "a.b", "*", ">", "A", "a b", strings.Repeat("a", 65)} {
		if n, err := bus.Connect(t.Context(), bus.Config{URL: "nats://127.0.0.1:1", Namespace: name}); err == nil {
			n.Close()
			t.Errorf("the namespace %q is accepted", name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	silent := newProxy(t, "127.0.0.1:1")
	silent.block()
	if _, err := bus.Connect(ended, bus.Config{URL: silent.url(), Namespace: namespace,
		Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got the error %v, want that the context has ended", err)
	}
}

// NATS may come after Parley, and may go and come again.
func TestServerComesAndGoes(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	addr := srv.Addr()
	url := srv.ClientURL()
	bustest.Stop(srv)
	var log logs
	a, b := connect(t, to(strings.Replace(url, "nats://", "nats://user:hunter2@", 1)), logTo(&log)), connect(t, to(url))
	if a.Connected() {
		t.Fatal("connected to a server that is not there")
	}
	sub := b.Subscribe(fact.Control)
	defer sub.Close()
	a.Publish(stopped()) // Lost.
	receive(t, "doubt without a connection", sub.Missed())

	srv = bustest.Start(t, onPort(addr))
	carries(t, a, b)
	receive(t, "doubt after the first connection", sub.Missed())
	for range 2 {
		bustest.Stop(srv)
		eventually(t, "the loss is noticed", func() bool { return !a.Connected() && !b.Connected() })
		for missed(sub) { // Nothing is left from before.
		}
		srv = bustest.Start(t, onPort(addr))
		carries(t, a, b)
		receive(t, "doubt after a reconnection", sub.Missed())
		f := stopped()
		a.Publish(f)
		until(t, sub, f)
	}
	if n := log.count("msg=\"connected to NATS\""); n != 3 {
		t.Errorf("%d connections are logged, want 3: %s", n, log.text.String())
	}
	if n := log.count("disconnected from NATS"); n != 2 {
		t.Errorf("%d losses are logged, want 2: %s", n, log.text.String())
	}
	if log.count("cannot be reached") == 0 || log.count("hunter2") > 0 {
		t.Errorf("the log does not say that NATS was down, or holds the password: %s", log.text.String())
	}
}

// Refused credentials are tried again: the operator may correct the server.
func TestCredentialsRefused(t *testing.T) {
	t.Parallel()
	password := func(p string) func(*server.Options) {
		return func(o *server.Options) { o.Username, o.Password = "parley", p }
	}
	srv := bustest.Start(t, password("other"))
	addr := srv.Addr()
	var log logs
	with := to(strings.Replace(srv.ClientURL(), "nats://", "nats://parley:hunter2@", 1))
	a, b := connect(t, with, logTo(&log)), connect(t, with)
	eventually(t, "the refusal is logged", func() bool { return log.count("Authorization Violation") > 0 })
	bustest.Stop(srv)
	bustest.Start(t, onPort(addr), password("hunter2"))
	carries(t, a, b)
	if log.count("hunter2") > 0 {
		t.Errorf("the log holds the password: %s", log.text.String())
	}
}

// The node of a cluster that a bus is connected to dies.
func TestNodeKilled(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t)
	var log logs
	a, b := connected(t, at(nodes[0])), connected(t, at(nodes[1]), logTo(&log))
	sub := b.Subscribe(fact.Control)
	defer sub.Close()
	carries(t, a, b)
	followed := pid.New(pid.Message)
	pieces := b.Follow(followed)
	defer pieces.Close()
	bustest.Stop(nodes[1])
	eventually(t, "another node is found", func() bool { return log.count("msg=\"connected to NATS\"") == 2 })
	for missed(sub) { // Nothing is left from before.
	}
	receive(t, "doubt", sub.Missed())
	carries(t, a, b)
	eventually(t, "pieces arrive again", func() bool {
		a.Send(reply.Piece{MessageID: followed, Attempt: 1})
		return len(pieces.Arrived()) > 0
	})
}

// Facts of this replica are heard once here, though it listens at NATS too.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, b := connected(t, at(srv)), connected(t, at(srv))
	u := pid.New(pid.User)
	sub := a.Subscribe(fact.OfUser(u))
	defer sub.Close()
	eventually(t, "NATS knows", func() bool { return heard(t, srv, "fact") == 1 })
	_, seen := spyOn(t, srv, factSubject(fact.OfUser(u)))
	own, fence := created(u), created(u)
	a.Publish(own)
	receive(t, "the fact at the server", seen)
	if got := take(sub); !slices.Equal(got, []fact.Fact{own}) {
		t.Errorf("got %+v, want the own fact at once", got)
	}
	b.Publish(fence)
	if got := until(t, sub, fence); len(got) > 0 {
		t.Errorf("got %+v again", got)
	}
}

func TestNamespacesApart(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	one, two := bus.Namespace("https://one.example.com"), bus.Namespace("https://two.example.com")
	in := func(name string) func(*bus.Config) { return func(c *bus.Config) { c.Namespace = name } }
	a, b, other := connected(t, at(srv), in(one)), connected(t, at(srv), in(one)), connected(t, at(srv), in(two))
	sub, foreign := b.Subscribe(fact.Control), other.Subscribe(fact.Control)
	defer sub.Close()
	defer foreign.Close()
	eventually(t, "NATS knows both", func() bool {
		return srv.GlobalAccount().SubscriptionInterest("parley."+one+".fact.control") &&
			srv.GlobalAccount().SubscriptionInterest("parley."+two+".fact.control")
	})
	f := stopped()
	a.Publish(f)
	until(t, sub, f)
	fence := stopped()
	second := connected(t, at(srv), in(two))
	second.Publish(fence)
	if got := until(t, foreign, fence); len(got) > 0 {
		t.Errorf("the other installation got %+v", got)
	}
}

// What was published before Close arrives, and Close may come twice.
func TestCloseSendsTheRest(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, b := connected(t, at(srv)), connected(t, at(srv))
	sub := b.Subscribe(fact.Control)
	defer sub.Close()
	eventually(t, "NATS knows", func() bool { return heard(t, srv, "fact") == 1 })
	own := a.Subscribe(fact.Control)
	defer own.Close()
	f := stopped()
	a.Publish(f)
	a.Close()
	a.Close()
	until(t, sub, f)
	if a.Connected() {
		t.Error("connected after Close")
	}
	a.Publish(f)
	a.Send(reply.Piece{MessageID: f.MessageID})
	if got := take(own); len(got) != 2 {
		t.Errorf("the listener of a closed bus got %d facts, want those of its own replica, 2", len(got))
	}
	a.Follow(f.MessageID).Close()
	a.Serve(pid.New(pid.Replica), nil)()
	if _, err := a.Ask(t.Context(), pid.New(pid.Replica), reply.Question{MessageID: f.MessageID}); !errors.Is(err,
		reply.ErrNoAnswer) {
		t.Errorf("asking through a closed bus: %v, want no answer", err)
	}
}

// Close while everybody is at work.
func TestCloseDuringDelivery(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, b := connected(t, at(srv)), connected(t, at(srv))
	u, m := pid.New(pid.User), pid.New(pid.Message)
	done := make(chan struct{})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a.Publish(created(u))
				a.Send(said(m, "x"))
				sub, pieces := b.Subscribe(fact.OfUser(u)), b.Follow(m)
				take(sub)
				sub.Close()
				pieces.Close()
			}
		})
	}
	sub := b.Subscribe(fact.OfUser(u))
	next(t, sub)
	b.Close()
	a.Close()
	sub.Close()
	close(done)
	busy.Wait()
}

// hostile are texts that must never become part of a subject.
var hostile = []string{
	"", "*", ">", "usr_*", "usr_>", "*.*", "usr_.", "a b", "usr_00000000000000000000000000.>",
	"usr_0000000000000000000000000*",
	"usr_0000000000000000000000000\n", "msg_0000000000000000000000000 x", "\r\nPUB a 0\r\n",
	"usr_0000000000000000000000000ä",
}

func TestHostileIDs(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a := connected(t, at(srv))
	_, seen := spyOn(t, srv, ">")
	for _, id := range hostile {
		id := pid.ID(id)
		for kind := fact.Kind(0); kind <= fact.ReplyReleased+1; kind++ {
			if kind == fact.StopRequested || kind == fact.AccessRevoked || kind == fact.ReplyReleased ||
				kind == fact.ConversationDeleted {
				continue // These go to a topic that is no id.
			}
			a.Publish(fact.Fact{Kind: kind, UserID: id, ConversationID: id, MessageID: id, SessionID: id})
		}
		for _, topic := range []fact.Topic{fact.OfUser(id), fact.OfConversation(id), fact.Topic(id),
			"control." + fact.Topic(id), "user", "reply." + fact.Topic(id)} {
			sub := a.Subscribe(topic)
			defer sub.Close()
		}
		a.Send(said(id, "x"))
		pieces := a.Follow(id)
		defer pieces.Close()
		defer a.Serve(id, func(reply.Question) (reply.Piece, error) { return reply.Piece{}, nil })()
		if _, err := a.Ask(t.Context(), id, reply.Question{MessageID: pid.New(pid.Message)}); !errors.Is(err,
			reply.ErrNoAnswer) {
			t.Errorf("asking %q: %v, want no answer", id, err)
		}
		if _, err := a.Ask(t.Context(), pid.New(pid.Replica), reply.Question{MessageID: id}); !errors.Is(err,
			reply.ErrNoAnswer) {
			t.Errorf("asking about %q: %v, want no answer", id, err)
		}
	}
	fence := stopped()
	a.Publish(fence)
	if m := receive(t, "the fence", seen); m.Subject != factSubject(fact.Control) {
		t.Errorf("a message to %q went out", m.Subject)
	}
	for _, kind := range []string{"fact", "piece", "ask"} {
		if n := heard(t, srv, kind); n != 0 {
			t.Errorf("%d subscriptions to subjects of kind %s", n, kind)
		}
	}
	// Facts for everybody keep to their topic whatever they hold, and peers drop them.
	b := connected(t, at(srv))
	sub := b.Subscribe(fact.Control)
	defer sub.Close()
	eventually(t, "NATS knows", func() bool { return heard(t, srv, "fact") == 1 })
	for _, id := range hostile[1:] {
		a.Publish(fact.Fact{Kind: fact.StopRequested, MessageID: pid.ID(id)})
	}
	a.Publish(fence)
	if got := until(t, sub, fence); len(got) > 0 {
		t.Errorf("facts about hostile ids arrived: %+v", got)
	}
}

// spyOn listens at a server like any other client.
func spyOn(t *testing.T, srv *server.Server, subject string) (*nats.Conn, <-chan *nats.Msg) {
	t.Helper()
	conn, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	seen := make(chan *nats.Msg, 4096)
	if _, err := conn.ChanSubscribe(subject, seen); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return conn, seen
}

// Nonsense on our subjects is ignored.
func TestGarbage(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a := connected(t, at(srv))
	peer, _ := spyOn(t, srv, "nothing")
	u, m, replica := pid.New(pid.User), pid.New(pid.Message), pid.New(pid.Replica)
	sub, pieces := a.Subscribe(fact.OfUser(u)), a.Follow(m)
	defer sub.Close()
	defer pieces.Close()
	stop := a.Serve(replica, func(q reply.Question) (reply.Piece, error) {
		if q.MessageID != m {
			t.Errorf("asked %+v", q)
		}
		return reply.Piece{MessageID: m}, nil
	})
	defer stop()
	eventually(t, "NATS knows",
		func() bool { return heard(t, srv, "fact")+heard(t, srv, "piece")+heard(t, srv, "ask") == 3 })
	prefix := "parley." + namespace + "."
	for _, subject := range []string{factSubject(fact.OfUser(u)), wirePrefix + "piece." + string(m),
		wirePrefix + "ask." + string(replica)} {
		for _, data := range []string{
			"", "\x00", "\x01", "\x02abc", "{", "{}", "null", "[]", `"x"`, `{"kind":7}`, `{"kind":"nonsense"}`,
			`{"kind":"conversation_created"}`,
			`{"kind":"conversation_created","user":"` + string(pid.New(pid.User)) + `"}`, // Of another topic.
			`{"kind":"stop_requested","message":"*"}`,
			"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x02" + strings.Repeat("\xff", 300),
			strings.Repeat("x", 900<<10),
		} {
			for _, reply := range []string{"", "other", prefix + "fact.control", wirePrefix + "answer.a.b.c",
				wirePrefix + "answer.x.1"} {
				if err := peer.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(data)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := peer.Publish(factSubject(fact.OfUser(u)),
		[]byte(`{"kind":"conversation_created","user":"`+string(u)+`","later":{"field":[1]}}`)); err != nil {
		t.Fatal(err)
	}
	if f := next(t, sub); f != (fact.Fact{Kind: fact.ConversationCreated, UserID: u}) {
		t.Errorf("got %+v", f)
	}
	b := connected(t, at(srv))
	eventually(t, "good pieces arrive", func() bool {
		b.Send(said(m, "good"))
		return len(pieces.Arrived()) > 0
	})
	if p := receive(t, "a piece", pieces.Arrived()); p.Texts[content] != "good" {
		t.Errorf("got %+v", p)
	}
	if p, err := b.Ask(t.Context(), replica, reply.Question{MessageID: m}); err != nil || p.MessageID != m {
		t.Errorf("asking gives %+v, %v", p, err)
	}
}

// proxy stands between a bus and its server, and can stop forwarding without a
// word, as a broken network does.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	blocked  bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, in)
			p.mu.Unlock()
			out, err := net.Dial("tcp", target)
			if err != nil {
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, out)
			p.mu.Unlock()
			tasks.Go(func() { p.copy(in, out) })
			tasks.Go(func() { p.copy(out, in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		tasks.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// block stops forwarding for good.
func (p *proxy) block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = true
}

// copy reads nothing more once blocked: the sender's buffers fill up.
func (p *proxy) copy(dst, src net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		blocked := p.blocked
		p.mu.Unlock()
		if err != nil || blocked {
			return
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}
