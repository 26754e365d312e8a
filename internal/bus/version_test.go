package bus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/bus/bustest"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// oldPeer is a replica that speaks version 1 of the wire, written out as it was released.
type oldPeer struct {
	t    *testing.T
	conn *nats.Conn
}

const oldPrefix = "parley." + namespace + "."

func newOldPeer(t *testing.T, srv *server.Server) oldPeer {
	t.Helper()
	conn, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return oldPeer{t, conn}
}

func oldText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// oldPiece: version, id, attempt, offset, text, offset of the reasoning, reasoning, and how
// much there is of both.
func oldPiece(m pid.ID, text string) []byte {
	b := oldText([]byte{1}, string(m))
	b = append(b, 1, 0)
	b = oldText(b, text)
	b = append(b, 0, 0)
	return append(binary.AppendUvarint(b, uint64(len(text))), 0)
}

// oldQuestion: version, id, attempt, how much is held of the text and of the reasoning.
func oldQuestion(m pid.ID) []byte { return append(oldText([]byte{1}, string(m)), 1, 0, 0) }

// ask puts a question as version 1 does.
func (p oldPeer) ask(replica, m pid.ID) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	answer, err := p.conn.RequestWithContext(ctx, oldPrefix+"ask."+string(replica), oldQuestion(m))
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

// serve answers questions, and counts them.
func (p oldPeer) serve(replica, m pid.ID) *atomic.Int64 {
	var asked atomic.Int64
	p.listen("ask."+string(replica), func(msg *nats.Msg) {
		asked.Add(1)
		_ = p.conn.Publish(msg.Reply, append([]byte{1, 0}, oldPiece(m, "old")...)) // Counted is what matters.
	})
	return &asked
}

// follow counts the pieces of a reply.
func (p oldPeer) follow(m pid.ID) *atomic.Int64 {
	var heard atomic.Int64
	p.listen("piece."+string(m), func(*nats.Msg) { heard.Add(1) })
	return &heard
}

func (p oldPeer) listen(subject string, hear nats.MsgHandler) {
	p.t.Helper()
	if _, err := p.conn.Subscribe(oldPrefix+subject, hear); err != nil {
		p.t.Fatal(err)
	}
	p.flush()
}

func (p oldPeer) flush() {
	p.t.Helper()
	if err := p.conn.Flush(); err != nil {
		p.t.Fatal(err)
	}
}

// An old replica that asks this one is told by NATS that nobody listens, at once, and what
// it sends reaches nobody here.
func TestOldReplicaAsks(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, b, old := connected(t, at(srv)), connected(t, at(srv)), newOldPeer(t, srv)
	replica, m := pid.New(pid.Replica), pid.New(pid.Message)
	var asked atomic.Int64
	stop := a.Serve(replica, func(reply.Question) (reply.Piece, error) {
		asked.Add(1)
		return said(m, "new"), nil
	})
	defer stop()
	pieces := a.Follow(m)
	defer pieces.Close()
	eventually(t, "NATS knows of the new replica", func() bool {
		return heard(t, srv, "ask")+heard(t, srv, "piece") == 2
	})

	began := time.Now()
	if data, err := old.ask(replica, m); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("an old question gets %q, %v; want the word that nobody listens", data, err)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the word took %v", took)
	}
	if err := old.conn.Publish(oldPrefix+"piece."+string(m), oldPiece(m, "old")); err != nil {
		t.Fatal(err)
	}
	// Even where a frame strays into the other version's subject it is refused.
	if err := old.conn.Publish(wirePrefix+"piece."+string(m), oldPiece(m, "old")); err != nil {
		t.Fatal(err)
	}
	old.flush()
	eventually(t, "a new piece arrives", func() bool {
		b.Send(said(m, "new"))
		return len(pieces.Arrived()) > 0
	})
	if p := receive(t, "a piece", pieces.Arrived()); p != said(m, "new") {
		t.Errorf("first arrives %+v", p)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d old questions were heard", n)
	}
}

// This replica asks an old one: it gets no answer, at once, and the old one hears nothing.
func TestOldReplicaIsAsked(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, old := connected(t, at(srv)), newOldPeer(t, srv)
	replica, m := pid.New(pid.Replica), pid.New(pid.Message)
	asked, followed := old.serve(replica, m), old.follow(m)
	if data, err := old.ask(replica, m); err != nil || len(data) == 0 {
		t.Fatalf("old replicas do not understand each other: %q, %v", data, err)
	}
	before := asked.Load()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if p, err := a.Ask(ctx, replica, reply.Question{MessageID: m}); !errors.Is(err, reply.ErrNoAnswer) {
		t.Errorf("asking an old replica gives %+v, %v; want no answer", p, err)
	}
	if ctx.Err() != nil {
		t.Error("no answer came only with the end of patience")
	}
	a.Send(said(m, "new"))
	// Facts are one form for all versions: this one comes behind the piece.
	facts := make(chan struct{}, 1)
	old.listen("fact."+string(fact.Control), func(*nats.Msg) { facts <- struct{}{} })
	a.Publish(fact.Fact{Kind: fact.ReplyReleased, MessageID: m})
	receive(t, "the fact", facts)
	if n := asked.Load() - before; n != 0 {
		t.Errorf("the old replica heard %d new questions", n)
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("the old replica heard %d new pieces", n)
	}
}
