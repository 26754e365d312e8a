package reply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/usageday"
	"parley/ent/user"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/usage"
	"parley/internal/viewer"
)

// Asides says how names and summaries are made: calls of a model beside the replies. The
// zero value makes no names, and summaries by the model of the reply.
type Asides struct {
	// TitleModel names conversations. Empty: no model does.
	TitleModel string
	// Spares reports whether a model is not to be asked for summaries. Nil: none is spared.
	Spares func(model string) bool
	// TokensPerDay is after how many tokens of a day a user gets none any more; 0: no limit.
	TokensPerDay int
	// TitleLimit and SummaryLimit are how long a call may take; 0: 10 seconds, and a minute.
	TitleLimit, SummaryLimit time.Duration
	// AtOnce is how many this replica makes at a time, Waiting how many wait for their turn, as many
	// again of those that somebody waits for, which come first, and PerMinute how many of the others
	// are taken on in a minute; 0: 2, 32 and 60. What does not fit is dropped: the next turn asks
	// again.
	AtOnce, Waiting, PerMinute int
}

// What the zero values of Asides stand for.
const (
	titleLimit      = 10 * time.Second
	summaryLimit    = time.Minute
	asidesAtOnce    = 2
	asidesWaiting   = 32
	asidesPerMinute = 60
)

const (
	// summariesAtOnce is how many of those that are made at a time are summaries, which take
	// long.
	summariesAtOnce = 1
	// asideStoreLimit bounds what an aside reads or writes at a time.
	asideStoreLimit = 30 * time.Second
)

// The reasons for which an aside is not made.
var (
	// ErrNoTokens: the user has none left for the day.
	ErrNoTokens = errors.New("the tokens of this day are used up")
	// ErrNoSummaries: the model is not to be asked for them.
	ErrNoSummaries = errors.New("the model makes no summaries")
	// ErrAsidesBusy: this replica makes as many as it may.
	ErrAsidesBusy = errors.New("too many names and summaries are being made")
)

// asides runs calls of models that make names and summaries, beside the replies and with
// bounds of their own. Nothing of it is durable: one that fails, or that its replica did not
// live to see, is asked for again at the next turn. See docs/adr/0021-asides.md.
type asides struct {
	*host
	cfg      Asides
	life     *life
	upstream Upstream
	windows  Windows // Nil: nobody knows any.
	maxBytes int     // of a prompt

	// mu guards the fields below. life.mu may be taken while it is held.
	mu                sync.Mutex
	running, summings int
	// waiting has those first that somebody waits for.
	waiting []*aside
	// going are those that run or wait and that nobody waits for, so that none is made twice
	// at a time.
	going map[asideKey]bool
	// taken is when the last ones of those were taken on, a ring whose oldest is at next.
	taken []time.Time
	next  int
}

// asideKey is what an aside is about.
type asideKey struct {
	purpose      usageday.Purpose
	conversation pid.ID
}

// aside is one of them.
type aside struct {
	key    asideKey
	userID pid.ID
	// asked says that somebody waits for it: then it may be made a second time.
	asked bool
	run   func(ctx context.Context) error
	done  chan struct{} // Closed when err is set.
	err   error
}

func newAsides(h *host, all Config, life *life, up Upstream) *asides {
	cfg := all.Asides
	cfg.TitleLimit = cmp.Or(cfg.TitleLimit, titleLimit)
	cfg.SummaryLimit = cmp.Or(cfg.SummaryLimit, summaryLimit)
	cfg.AtOnce, cfg.Waiting = cmp.Or(cfg.AtOnce, asidesAtOnce), cmp.Or(cfg.Waiting, asidesWaiting)
	cfg.PerMinute = cmp.Or(cfg.PerMinute, asidesPerMinute)
	return &asides{host: h, cfg: cfg, life: life, upstream: up, windows: all.Windows, maxBytes: all.MaxPromptBytes,
		going: make(map[asideKey]bool), taken: make([]time.Time, cfg.PerMinute)}
}

// start takes an aside on, or returns ErrAsidesBusy. It does not wait for it.
func (s *asides) start(a *aside) error {
	now := time.Now()
	a.done = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.asked && s.going[a.key] {
		return nil // It is being made.
	}
	asked := slices.IndexFunc(s.waiting, func(other *aside) bool { return !other.asked })
	if asked < 0 {
		asked = len(s.waiting)
	}
	at, before := len(s.waiting), len(s.waiting)-asked
	if a.asked {
		at, before = asked, asked
	}
	if before >= s.cfg.Waiting || !a.asked && !s.takes(now) {
		s.meters.aside(a.key.purpose, asideBusy)
		return ErrAsidesBusy
	}
	if !a.asked {
		s.going[a.key] = true
	}
	s.waiting = slices.Insert(s.waiting, at, a)
	s.turn()
	return nil
}

// takes counts one more that nobody waits for, or reports that there are too many in this
// minute. It is called with mu held.
func (s *asides) takes(now time.Time) bool {
	if oldest := s.taken[s.next]; !oldest.IsZero() && now.Sub(oldest) < time.Minute {
		return false
	}
	s.taken[s.next] = now
	s.next = (s.next + 1) % len(s.taken)
	return true
}

// turn starts those that wait, as far as there is room. It is called with mu held.
func (s *asides) turn() {
	for i := 0; i < len(s.waiting) && s.running < s.cfg.AtOnce; {
		a := s.waiting[i]
		summing := a.key.purpose == usageday.PurposeSUMMARY
		if summing && s.summings >= summariesAtOnce {
			i++
			continue
		}
		s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
		s.count(summing, 1)
		if !s.life.goLoop(func() { s.work(a, summing) }) {
			s.count(summing, -1)
			s.over(a, ErrStopping)
		}
	}
}

func (s *asides) count(summing bool, n int) {
	s.running += n
	if summing {
		s.summings += n
	}
}

// over says how an aside has ended. It is called with mu held.
func (s *asides) over(a *aside, err error) {
	if !a.asked {
		delete(s.going, a.key)
	}
	a.err = err
	close(a.done)
}

// work runs an aside in its goroutine.
func (s *asides) work(a *aside, summing bool) {
	err := error(&Error{Code: CodeInternal}) // Unless it returns.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count(summing, -1)
		s.over(a, err)
		s.turn()
	}()
	ctx := viewer.AsUser(s.life.loopCtx, a.userID)
	err = a.run(ctx)
	if errors.Is(err, ErrNoTokens) {
		s.meters.aside(a.key.purpose, asideNoTokens)
	}
	if err != nil && ctx.Err() == nil && !ent.IsNotFound(err) && !errors.Is(err, ErrNoTokens) {
		s.log.WarnContext(ctx, "aside failed", "purpose", string(a.key.purpose),
			"conversation_id", string(a.key.conversation), "err", err)
	}
}

// await starts an aside and waits for its end.
func (s *asides) await(ctx context.Context, a *aside) error {
	a.asked = true
	if err := s.start(a); err != nil {
		return err
	}
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// said is what a model answered to an aside.
type said struct {
	text string
	// used is what counts; nil: nothing.
	used *usage.Call
}

var (
	errAsideLimit    = errors.New("the model took too long")
	errAsideTooLong  = errors.New("the model says more than is wanted")
	errAsideFiltered = errors.New("the model server filters the answer")
)

// call asks a model once, and counts it unless a stop ends it. What was used is known beside
// an error too. Text beyond maxBytes, thinking included, ends the call, and what came before
// it is the answer.
func (s *asides) call(
	ctx context.Context, a *aside, limit time.Duration, req Request, maxBytes int,
) (out said, err error) {
	result := asideFailed // Also when it panics.
	defer func() {
		if ctx.Err() == nil {
			s.meters.aside(a.key.purpose, result)
		}
	}()
	if out, err = s.ask(ctx, a, limit, req, maxBytes); err == nil {
		result = asideOK
	}
	return out, err
}

func (s *asides) ask(
	ctx context.Context, a *aside, limit time.Duration, req Request, maxBytes int,
) (out said, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &Error{Code: CodeTimeout, Err: errAsideLimit})
	defer cancel()
	req.Aside = true
	size := prompt.Estimate(req.Messages)
	heard := &heard{max: maxBytes}
	result, err := s.upstream.Generate(ctx, req, heard)
	if errors.Is(err, errAsideTooLong) {
		err = nil
	}
	if err == nil && result.FinishReason == FinishContentFilter {
		err = &Error{Code: CodeContentFilter, Err: errAsideFiltered}
	}
	u := result.Usage
	if u == nil && (err == nil || heard.bytes > 0) {
		u = &Usage{PromptTokens: size, CompletionTokens: prompt.Tokens(heard.bytes), Estimated: true}
	}
	if u != nil {
		out.used = &usage.Call{UserID: a.userID, Model: req.Model, Purpose: a.key.purpose,
			PromptTokens: u.PromptTokens, CompletionTokens: u.CompletionTokens, Estimated: u.Estimated}
		for _, part := range []struct {
			from *int
			to   *int
		}{{u.CachedTokens, &out.used.CachedTokens}, {u.ReasoningTokens, &out.used.ReasoningTokens}} {
			if part.from != nil {
				*part.to = *part.from
			}
		}
	}
	out.text = heard.text.String()
	return out, err
}

// heard gathers an answer. Thinking is thrown away, but counts.
type heard struct {
	text       strings.Builder
	bytes, max int
}

// Append implements Output.
func (h *heard) Append(c Channel, piece string) error {
	if h.bytes += len(piece); h.bytes > h.max {
		return errAsideTooLong
	}
	if c == Content {
		h.text.WriteString(piece)
	}
	return nil
}

// admitted refuses asides for a user who is disabled, with a NotFoundError, and for one who
// has no tokens left: those that replies hold are taken.
func (s *asides) admitted(ctx context.Context, tx *ent.Tx, userID pid.ID, now time.Time) error {
	_, err := tx.User.Query().Where(user.ID(userID), user.DisabledAtIsNil()).OnlyID(ctx)
	if err != nil {
		return fmt.Errorf("look for the user: %w", err)
	}
	if s.cfg.TokensPerDay == 0 {
		return nil
	}
	days, err := tx.UsageDay.Query().Where(usageday.UserID(userID), usageday.Day(usage.Day(now))).All(ctx)
	if err != nil {
		return fmt.Errorf("read the tokens of a day: %w", err)
	}
	held, err := tx.Message.Query().
		Where(message.UserID(userID), Unfinished(), message.ReservedTokensNotNil()).
		Select(message.FieldReservedTokens).
		Ints(ctx)
	if err != nil {
		return fmt.Errorf("read what replies hold: %w", err)
	}
	taken := 0
	for _, d := range days {
		taken += d.PromptTokens + d.CompletionTokens
	}
	for _, n := range held {
		taken += n
	}
	if taken >= s.cfg.TokensPerDay {
		return ErrNoTokens
	}
	return nil
}

// addUsage counts what an aside has used for the day on which it ends. It comes last in tx.
func (s *asides) addUsage(ctx context.Context, tx *ent.Tx, used *usage.Call, now time.Time) error {
	if used == nil {
		return nil
	}
	call := *used
	call.Day = usage.Day(now)
	return s.store.AddUsage(ctx, tx, call)
}

// inTx runs a short transaction of an aside.
func (s *asides) inTx(ctx context.Context, fn func(ctx context.Context, tx *ent.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, asideStoreLimit)
	defer cancel()
	return s.store.InTx(ctx, func(tx *ent.Tx) error { return fn(ctx, tx) })
}
