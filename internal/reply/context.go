package reply

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/prompt"
)

// Plan returns how much of a conversation a reply of a model may be made from, by what the
// conversation says, the server, and what is known of the model.
func (e *Engine) Plan(model string, p Parameters, settings prompt.Settings) prompt.Plan {
	limit := 0
	if w := e.cfg.Windows; w != nil {
		if n, known := w.ContextTokens(model); known {
			limit = n
		}
	}
	plan := settings.Over(e.cfg.Context).Plan(limit, maxTokens(p))
	plan.Model, plan.MaxBytes, plan.PerByte = model, e.cfg.MaxPromptBytes, e.contexts.perByte(model)
	return plan
}

// maxTokens is how long a reply may be, 0 when nothing is said.
func maxTokens(p Parameters) int {
	if p.MaxTokens == nil {
		return 0
	}
	return *p.MaxTokens
}

// chosen is what a reply is made from. Its window is without the messages, which nobody but the
// upstream is to hold while a reply comes.
type chosen struct {
	plan    prompt.Plan
	summary *Summary // That of the plan.
	window  prompt.Window
	// sums says that the conversation is to have summaries.
	sums bool
}

// choose reads the visible line, as far as the plan needs it, and chooses what is sent. With
// less it is what that makes of the plan.
func (a *Attempt) choose(
	ctx context.Context, parameters Parameters, less func(prompt.Plan) prompt.Plan,
) (c chosen, messages []prompt.Message, err error) {
	var line prompt.Line
	read := func(newest int) error {
		return a.untilRead(ctx, "reading a prompt", func() error {
			return a.engine.store.ReadLine(ctx, LineQuery{UserID: a.row.UserID, ConversationID: a.row.ConversationID,
				Before: a.row.Index, Newest: newest, MaxBytes: a.engine.cfg.MaxPromptBytes}, &line)
		})
	}
	// What is short is read at once, and so is what will probably be sent whole.
	if a.row.Index <= LineBatch || a.expected(parameters) == prompt.Full {
		err = read(WholeLine)
	}
	if len(line.Rows) == 0 && (err == nil || errors.Is(err, ErrLineTooLong)) && !line.Whole {
		err = read(LineBatch)
	}
	if err != nil {
		return c, nil, err
	}
	if len(line.Rows) == 0 { // Not even message 0, which each conversation has.
		return c, nil, errNoLine
	}
	if err := a.plan(ctx, parameters, line.Settings, &c); err != nil {
		return c, nil, err
	}
	for err == nil && !c.plan.Enough(line) {
		err = read(c.plan.Next(line))
	}
	if errors.Is(err, ErrLineTooLong) {
		err = &Error{Code: CodeContextTooLong, Err: err}
	}
	if err != nil {
		return c, nil, err
	}
	if less != nil {
		c.plan = less(c.plan)
	}
	c.window = c.plan.Choose(line)
	// What was refused when the reply was asked for can be too long all the same: replies that
	// this one waited for have become longer since.
	if c.plan.Policy == prompt.Full && c.window.Bytes > a.engine.cfg.MaxPromptBytes {
		return c, nil, &Error{Code: CodeContextTooLong, Err: ErrLineTooLong}
	}
	messages, c.window.Messages = c.window.Messages, nil
	return c, messages, nil
}

// untilRead asks the database, until it answers.
func (a *Attempt) untilRead(ctx context.Context, what string, fn func() error) error {
	return a.engine.untilAnswered(ctx, a.engine.log.With("message_id", string(a.row.ID)), what, fn)
}

// expected is the policy by which a line is to be read of which nothing is known yet.
func (a *Attempt) expected(parameters Parameters) prompt.Policy {
	if a.policy != "" {
		return a.policy
	}
	return a.engine.Plan(a.model(), parameters, prompt.Settings{}).Policy
}

// Expect says by which policy the prompt will probably be chosen, so that no more and no less
// is read for it at once. Call it before Go.
func (a *Attempt) Expect(policy prompt.Policy) { a.policy = policy }

func (a *Attempt) model() string {
	if a.row.Model == nil {
		return ""
	}
	return *a.row.Model
}

// plan decides how much of a line is sent, by what its conversation says now.
func (a *Attempt) plan(ctx context.Context, parameters Parameters, stored string, c *chosen) error {
	settings, err := prompt.DecodeSettings(stored)
	if err != nil {
		return err
	}
	c.plan = a.engine.Plan(a.model(), parameters, settings)
	if c.sums = c.plan.Policy == prompt.Summarize; !c.sums {
		return nil
	}
	err = a.untilRead(ctx, "reading a summary", func() (err error) {
		c.summary, err = a.engine.store.NewestSummary(ctx, a.row.UserID, a.row.ConversationID, a.row.Index)
		return err
	})
	if err == nil && c.summary != nil {
		c.plan.Summary = &prompt.Digest{Reaches: c.summary.Reaches, Content: c.summary.Content}
	}
	return err
}

// less returns by what plan the model is to be asked again after a call that has written
// nothing; nil: it is not. When the prompt was too long, the newest half is sent, or what fits
// into the limit that was named. When the model server would not answer the turn before either,
// what both have in common is the history, and the question is asked without it.
func (c chosen) less(result Result, err error, parameters Parameters) func(prompt.Plan) prompt.Plan {
	failure, failed := errors.AsType[*Error](err)
	refused := failed && failure.Code.WithholdsQuestion() || err == nil && result.FinishReason == FinishContentFilter
	switch {
	case !refused || c.window.Alone:
	case c.window.Doubted:
		return prompt.Plan.Alone
	case failed && failure.Code == CodeContextTooLong:
		return func(p prompt.Plan) prompt.Plan {
			return p.Less(c.window, failure.ContextTokens, maxTokens(parameters))
		}
	}
	return nil
}

// askAgain calls the model once more with less of the conversation, and reports whether it has.
func (a *Attempt) askAgain(
	ctx context.Context, c chosen, less func(prompt.Plan) prompt.Plan, parameters Parameters,
) (out generated, again bool, err error) {
	next, messages, err := a.choose(ctx, parameters, less)
	if err != nil || next.window.Count >= c.window.Count {
		return out, false, nil // What the model server has said stands.
	}
	if c.plan.Policy == prompt.Full && next.plan.Limit == c.plan.Limit {
		next.window.Policy = prompt.Full // As far as the model server allows.
	}
	a.engine.log.InfoContext(ctx, "model asked again with less of the conversation",
		"message_id", string(a.row.ID), "sent", c.window.Count, "less", next.window.Count)
	out, err = a.call(ctx, next, messages, parameters)
	return out, true, err
}

// The least estimate from which on a count by the model server may be found too small.
const cutFrom = 1000

// cut reports whether a model server has counted less than half of what it was sent.
func (c *chosen) cut(u *Usage) bool {
	return u != nil && !u.Estimated && u.PromptTokens > 0 && c.window.Tokens > cutFrom &&
		2*u.PromptTokens < c.window.Tokens
}

// put stores what a reply was made from. It keeps nothing of c.
func (c *chosen) put(m *ent.Message, u *Usage) {
	w := &c.window
	made := &struct {
		policy                             message.ContextPolicy
		from, count, dropped, limit, bytes int
	}{message.ContextPolicy(w.Policy), w.From, w.Count, w.Dropped, c.plan.Limit, w.Bytes}
	m.ContextPolicy, m.ContextFromIndex, m.ContextCount = &made.policy, &made.from, &made.count
	m.ContextDropped, m.PromptBytes = &made.dropped, &made.bytes
	if made.limit > 0 && w.Policy != prompt.Full {
		m.ContextLimit = &made.limit
	}
	if w.Summed && c.summary != nil {
		id := c.summary.ID
		m.ContextSummaryID = &id
	}
	m.CutByServer = c.cut(u)
}

// Which part of its budget a prompt and its reply must fill for a summary to be worth while.
const sumUpFrom = 0.75

// asksForSummary reports whether the older part of the line is to be summed up after a reply.
func (c *chosen) asksForSummary(final *ent.Message) bool {
	if c.plan.Budget == 0 || final.FinishedAt == nil || final.Status != message.StatusCOMPLETED {
		return false
	}
	used := c.window.Tokens + prompt.Tokens(len(final.Content))
	return c.sums && float64(used) > sumUpFrom*float64(c.plan.Budget)
}

// contexts is what calls have told about the tokens of models. It is safe for concurrent use.
type contexts struct {
	mu     sync.Mutex // guards the fields below
	ratios map[string]float64
	warned map[string]time.Time
}

const (
	// maxContexts bounds the models that are remembered. Beyond it all are forgotten.
	maxContexts = 1000
	// learns is what a new count weighs against all before it.
	learns = 0.1
	// warnEvery is how often a model server is said to read less than it is sent.
	warnEvery = time.Hour
)

func newContexts() *contexts {
	return &contexts{ratios: make(map[string]float64), warned: make(map[string]time.Time)}
}

// perByte is how many tokens a byte makes with a model, 0 when nothing is known.
func (c *contexts) perByte(model string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ratios[model]
}

// learn takes the count of a prompt into account.
func (c *contexts) learn(model string, w prompt.Window, tokens int) {
	ratio, ok := prompt.PerByte(w.Bytes, w.Count, tokens)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.ratios[model]; known {
		ratio = before + learns*(ratio-before)
	} else if len(c.ratios) >= maxContexts {
		clear(c.ratios)
	}
	c.ratios[model] = ratio
}

// warns reports whether it is time to warn of a model.
func (c *contexts) warns(model string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, known := c.warned[model]; known && now.Sub(last) < warnEvery {
		return false
	}
	if len(c.warned) >= maxContexts {
		clear(c.warned)
	}
	c.warned[model] = now
	return true
}

// counted takes notice of what the model server has counted of a prompt.
func (a *Attempt) counted(ctx context.Context, c *chosen, u *Usage) {
	switch {
	case u == nil || u.Estimated:
	case !c.cut(u):
		a.engine.contexts.learn(a.model(), c.window, u.PromptTokens)
	case a.engine.contexts.warns(a.model(), time.Now()):
		a.engine.log.WarnContext(ctx, "model server seems to read less than it is sent", "model", a.model(),
			"sent_tokens", c.window.Tokens, "read_tokens", u.PromptTokens)
	}
}
