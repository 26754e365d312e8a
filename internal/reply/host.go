package reply

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/complaint"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/stack"
)

// host is what all parts of an engine share: who this replica is, its database, its bus
// and its log. It never changes.
type host struct {
	id    pid.ID
	store Store
	bus   fact.Bus
	// meters count what the parts do.
	meters *Meters
	log    *slog.Logger
}

// tell publishes a fact about a reply. A start carries the row, which is never changed
// from then on. An end does not: whoever watches the reply has its text, and a listener
// that lags would hold on to it.
func (h *host) tell(kind fact.Kind, m *ent.Message) {
	f := fact.Fact{Kind: kind, UserID: m.UserID, ConversationID: m.ConversationID, MessageID: m.ID}
	if kind == fact.ReplyStarted {
		f.Message = m
	}
	h.bus.Publish(f)
}

// row reads a message of a user, who is the viewer in ctx.
func (h *host) row(ctx context.Context, userID, id pid.ID) (*ent.Message, error) {
	m, err := h.store.Client().Message.Query().Where(message.ID(id), message.UserID(userID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}

// The pauses between two tries while the database does not answer.
const (
	firstPause = 50 * time.Millisecond
	longPause  = time.Second
)

// untilAnswered tries to read, again and again while the database does not answer. Once ctx
// has ended the error is that of the last try.
func (h *host) untilAnswered(ctx context.Context, log *slog.Logger, what string, try func() error) error {
	trouble := complaint.About(what)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := try()
		trouble.Report(ctx, log, err)
		if err == nil || ctx.Err() != nil || !h.store.IsUnavailable(err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// guard keeps a panic from ending the process and reports whether there was none.
func (h *host) guard(ctx context.Context, work func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			h.log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	work()
	return true
}

// apart does work that takes a deep stack in a goroutine that ends with it, and returns when it is
// done. A goroutine that goes on to wait for long would keep the stack that it has grown to: the
// runtime takes back half of one only when less than a quarter is used. A panic comes back here.
func apart(work func()) {
	var caught any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if caught = recover(); caught != nil {
				caught = fmt.Sprintf("%v\n%s", caught, debug.Stack())
			}
		}()
		stack.Grow()
		work()
	}()
	<-done
	if caught != nil {
		panic(caught)
	}
}

// signal asks a loop for its next turn at once. It never blocks.
func signal(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default: // It is asked already.
	}
}
