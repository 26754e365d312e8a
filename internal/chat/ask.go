package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/usage"
)

// Sends are the statements of a transaction that asks for a reply, as few as the database
// allows. Each names the owner, and is denied to any viewer but that user.
type Sends interface {
	// AtOnce is how many writes of one user are worth handing to the database at a time.
	AtOnce() int
	// LockSend takes the lock of the user and, unless its id is empty, that of the
	// conversation, and reads the clock after that. Deletions take them so, too.
	LockSend(ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID) (time.Time, error)
	// BeforeSend reads all that decides. The caller holds the locks.
	BeforeSend(ctx context.Context, tx *ent.Tx, q SendQuery) (SendState, error)
	// StoreSend writes what the transaction makes.
	StoreSend(ctx context.Context, tx *ent.Tx, rows SendRows) error
}

// SendQuery is what BeforeSend looks for.
type SendQuery struct {
	UserID         pid.ID
	ConversationID pid.ID  // "": the transaction makes it.
	ClientKey      *string // Nil: nothing to look up.
	// Since is the time after which sends count, and Limit how many there may be.
	Since time.Time
	Limit int
	// Day is the day whose tokens count, "" when none do.
	Day string
	// Made is the time since which new conversations count; nil: none do.
	Made *time.Time
}

// SendState is what decides about a send.
type SendState struct {
	// Known is the record of the first mutation with this client key, without its own id and
	// time; nil when there is none.
	Known *ent.Send
	// Conversation is nil when it is not there, or not the user's.
	Conversation *ent.Conversation
	// HeadIndex is the index of the conversation's head, -1 when that is not there.
	HeadIndex int
	// LineBytes is about how long the texts of the visible line are that a model would be
	// sent, with the window that it was sent last. What is being written counts as far as it is
	// stored.
	LineBytes int
	// RootBytes is how long the text of message 0 is.
	RootBytes int
	// LineTokens is about how many tokens that is. What is being written counts as what it holds.
	LineTokens int
	// Unfinished are the replies of the conversation that are being written or wait, in the
	// order of the line, with their ids, index, status, start and what they hold only.
	Unfinished []*ent.Message
	// Running is how many replies of the user are being written.
	Running int
	// Nth is the time of the send that is as far back as the limit; nil when there were fewer
	// in time.
	Nth *time.Time
	// Tokens is what the user has used on the day, and Reserved what the user's unfinished
	// replies may still use.
	Tokens, Reserved int
	// Conversations is how many there are of those that count.
	Conversations int
}

// SendRows is what a send makes. All rows have the same owner, conversation and time.
type SendRows struct {
	// Conversation is as it becomes.
	Conversation *ent.Conversation
	// Root is message 0 of a conversation that is new, nil for one that exists.
	Root            *ent.Message
	Question, Reply *ent.Message
	// ClientKey and PayloadHash go to the record of the send.
	ClientKey   *string
	PayloadHash string
}

// asking is the one transaction of a mutation that asks for a reply, and what follows
// its commit. What differs between such mutations is where on the line the reply goes.
type asking struct {
	*Service
	once           once
	conversationID pid.ID  // "": the mutation makes it.
	wanted         *string // The model that the mutation names.
	onBusy         OnBusy
	// parameters go over the conversation's; nil: those alone.
	parameters *reply.Parameters

	model   string // "": not resolved yet.
	inForce reply.Parameters
	plan    prompt.Plan
	prompt  int // About how many tokens the model is sent.
	now     time.Time
	known   *ent.Send    // set when another request with this key was quicker
	place   *reply.Place // Until it is the attempt's.
	attempt *reply.Attempt
	stored  SendResult
	facts   []fact.Fact
}

// spot is where a reply goes: below a question on a line.
type spot struct {
	line     *line
	root     *ent.Message // of a new conversation
	question *ent.Message
	waits    bool // for replies before it
	// promptBytes is how long the texts are that a model is sent for the reply.
	promptBytes int
	// becomes is what the conversation is by it: created, or updated.
	becomes fact.Kind
	// turned says that another line is shown, from this index on.
	turned bool
	from   int
	// again says that the question is there already.
	again bool
	// continues is the reply that the new one begins with; nil: it begins with nothing.
	continues *ent.Message
}

// placing finds the spot, or makes it, after making way for the reply.
type placing func(ctx context.Context, tx *ent.Tx, s SendState) (spot, error)

// run stores a reply at the spot that place finds, and has the reply written. A known client
// key gives what was stored then, also while this process takes no more replies, or none of
// this user.
func (a *asking) run(ctx context.Context, place placing) (SendResult, error) {
	defer func() { a.place.Leave() }()
	defer func() { a.attempt.Discard() }()
	err := a.try(ctx, place)
	var undecided *undecidedError
	if errors.As(err, &undecided) {
		if a.model, err = a.catalog.Resolve(ctx, undecided.name); err != nil {
			return SendResult{}, unlessRemembered(err, a.wanted, undecided.name)
		}
		err = a.try(ctx, place)
	}
	if early, ok := errors.AsType[*earlyError](err); ok {
		return a.unlessKnown(ctx, early.refusal)
	}
	if err != nil {
		return SendResult{}, a.publish(err, a.facts...)
	}
	if a.known != nil {
		return a.repeat(ctx, a.once, a.known)
	}
	failpoint.Hit("chat.after-send-commit")
	a.pressure.admitted(time.Now())
	if a.attempt == nil {
		a.meters.Queued.Inc()
	} else {
		a.attempt.Committed() // Who hears of it is to find it here.
	}
	// Before the reply begins: a feed tells what its end has made of the conversation behind
	// that end only if it has heard of the reply before.
	_ = a.publish(nil, a.facts...) // There was no error.
	if a.attempt != nil {
		a.attempt.Go()
	}
	if a.stored.UserMessage.Index == 1 { // The first of its conversation.
		a.replies.NameFrom(a.stored.Conversation, a.stored.UserMessage.Content)
	}
	failpoint.Hit("chat.after-send-told")
	return a.stored, nil
}

// earlyError is a refusal before the transaction, which has not looked for the client key.
type earlyError struct{ refusal error }

// Error implements error.
func (e *earlyError) Error() string { return e.refusal.Error() }

// try runs the transaction when it is the user's turn and this process has room for a reply.
// Whoever is known to send too much takes no lock, no place and no connection.
func (a *asking) try(ctx context.Context, place placing) error {
	if err := a.checkRate(); err != nil {
		return &earlyError{err}
	}
	if err := a.checkRoom(ctx, a.once.userID); err != nil {
		return &earlyError{err}
	}
	// The place comes first: who waits for the user's turn is counted, and not refused after it.
	var err error
	if a.place == nil {
		if a.place, err = a.admit(); err != nil {
			return &earlyError{err}
		}
	}
	leave, err := a.crowd.enter(ctx, a.once.userID, a.cfg.MaxBacklog)
	if errors.Is(err, ErrBusy) {
		return &earlyError{a.overloaded(overloadCrowd)}
	}
	if err != nil {
		return &earlyError{err}
	}
	defer leave()
	if err := a.checkRate(); err != nil { // As those before it have found.
		return &earlyError{err}
	}
	err = a.store.InTx(a.within(ctx), func(tx *ent.Tx) error { return a.write(ctx, tx, place) })
	if errors.Is(err, ErrBusy) {
		return a.overloaded(overloadLate)
	}
	return err
}

func (a *asking) write(ctx context.Context, tx *ent.Tx, place placing) (err error) {
	// The user's lock makes limits and client keys hold over all replicas. The clock is read
	// behind both locks, so that of two changes the later one has the later time.
	if a.now, err = a.store.LockSend(ctx, tx, a.once.userID, a.conversationID); err != nil {
		return err
	}
	state, err := a.store.BeforeSend(ctx, tx, a.query())
	if err != nil {
		return err
	}
	if a.known = state.Known; a.known != nil {
		return nil
	}
	at, err := place(ctx, tx, state)
	if err != nil {
		return err
	}
	if err := a.insert(ctx, tx, at); err != nil {
		return err
	}
	failpoint.Hit("chat.send-uncommitted")
	if at.waits {
		return nil
	}
	// The engine gets a row of its own: it reads it from its goroutine while the
	// caller changes the one it was given.
	row := *a.stored.Reply
	if a.attempt, err = a.replies.PrepareIn(ctx, a.place, &row); err != nil {
		return refusal.Unavailable(err)
	}
	a.attempt.Expect(a.plan.Policy)
	return nil
}

func (a *asking) query() SendQuery {
	q := SendQuery{UserID: a.once.userID, ConversationID: a.conversationID, ClientKey: a.once.key,
		Since: a.now, Limit: a.cfg.SendsPerMinute}
	if a.cfg.SendsPerMinute > 0 {
		q.Since = a.now.Add(-time.Minute)
	}
	if a.cfg.TokensPerDay > 0 {
		q.Day = usage.Day(a.now)
	}
	if a.cfg.ConversationsPerDay > 0 && a.conversationID == "" {
		day := usage.StartOfDay(a.now)
		q.Made = &day
	}
	return q
}

// undecidedError says that a model cannot be resolved without asking somebody, for which a
// transaction cannot wait.
type undecidedError struct{ name string }

// Error implements error.
func (e *undecidedError) Error() string { return "the list of models has to be asked for" }

// decideModel resolves the model, where that is not done yet: the one that the mutation names,
// else the conversation's, else the default. Errors: those of resolveModel, MODEL_UNAVAILABLE
// {model} for one that the conversation remembers and that is gone, and *undecidedError.
func (a *asking) decideModel(conversations *string) error {
	if a.model != "" {
		return nil
	}
	name := wantedModel(a.wanted, conversations)
	id, decided, err := a.catalog.ResolveNow(name)
	switch {
	case !decided:
		return &undecidedError{name}
	case err != nil:
		return unlessRemembered(err, a.wanted, name)
	}
	a.model = id
	return nil
}

// insert writes the reply and makes it the head.
func (a *asking) insert(ctx context.Context, tx *ent.Tx, at spot) error {
	l, question := at.line, at.question
	var owner *pid.ID
	if !at.waits {
		id := a.replies.ID()
		owner = &id
	}
	answer := l.answer(question, a.model, a.inForce, owner)
	if old := at.continues; old != nil {
		answer.Content, answer.ContinuedBytes, answer.ContinuesID = old.Content, len(old.Content), &old.ID
	}
	promptBytes := at.promptBytes // Its own: a pointer into the spot would hold the transaction, and what asked for it.
	answer.PromptBytes = &promptBytes
	reserved := a.prompt + reply.AnswerTokens(a.inForce)
	answer.ReservedTokens = &reserved
	l.moveHead(answer.ID, question.Content)
	if err := a.storePair(ctx, tx, at, answer); err != nil {
		return err
	}
	a.stored = SendResult{Conversation: l.conversation, UserMessage: question, Reply: answer}
	if at.turned {
		a.facts = append(a.facts, lineChanged(l, at.from))
	}
	a.facts = append(a.facts, conversationFact(at.becomes, l.userID, l.conversation.ID, l.conversation))
	if !at.again {
		a.facts = append(a.facts, messageFact(fact.MessageAdded, question))
	}
	a.facts = append(a.facts, messageFact(fact.MessageAdded, answer))
	return nil
}

// storePair writes the question, unless that is there already, its reply and the record of
// both.
func (a *asking) storePair(ctx context.Context, tx *ent.Tx, at spot, answer *ent.Message) error {
	l, question := at.line, at.question
	if !at.again {
		question.ClientKey = a.once.key
		return a.store.StoreSend(ctx, tx, SendRows{Conversation: l.conversation, Root: at.root, Question: question,
			Reply: answer, ClientKey: a.once.key, PayloadHash: a.once.hash})
	}
	if err := l.save(ctx); err != nil {
		return err
	}
	if err := create(tx, answer).Exec(ctx); err != nil {
		return fmt.Errorf("store a version: %w", err)
	}
	return a.record(ctx, tx, kept{conversationID: l.conversation.ID, first: question.ID, last: answer.ID})
}
