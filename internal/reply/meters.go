package reply

import (
	"slices"
	"strings"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/usageday"
	"parley/internal/tally"
)

// Meters count what an engine does. They are safe for concurrent use.
type Meters struct {
	// Models has those of Config.CountedModels by name.
	Models *tally.Set[ModelMeters]
	// Checkpoint is how long it took to store a batch of running texts.
	Checkpoint *tally.Histogram
	// Takeovers counts replies that were taken over, by why.
	Takeovers *tally.Counters
	// Asides count names and summaries by their purpose in small letters, and by what came of
	// them.
	Asides *tally.Set[tally.Counters]
	// Waiting is how many callers wait for the end of a reply.
	Waiting tally.Gauge

	counted []string
	same    func(a, b string) bool
}

// ModelMeters count the replies of a model.
type ModelMeters struct {
	// Ended are those that ended here, by their status in small letters.
	Ended *tally.Counters
	// FirstToken is how long it took from the start of an attempt to its first text, and Speed
	// how many tokens a second came from then on.
	FirstToken, Speed *tally.Histogram
	// PromptTokens and CompletionTokens are those that the replies used.
	PromptTokens, CompletionTokens tally.Counter
}

// Why replies are taken over.
const (
	takenCrashed  = "crashed"
	takenReleased = "released"
)

// What came of an aside: of the call of a model, or why there was none.
const (
	asideOK       = "ok"
	asideFailed   = "failed"
	asideBusy     = "busy"
	asideNoTokens = "no_tokens"
)

// endedDeleted counts as the status of a reply whose conversation was deleted meanwhile.
const endedDeleted = "deleted"

func newMeters(models []string, same func(a, b string) bool) *Meters {
	var statuses []string
	for _, s := range []message.Status{message.StatusCOMPLETED, message.StatusSTOPPED, message.StatusFAILED,
		message.StatusINTERRUPTED} {
		statuses = append(statuses, strings.ToLower(string(s)))
	}
	statuses = append(statuses, endedDeleted)
	return &Meters{
		Models: tally.NewSet(func() *ModelMeters {
			return &ModelMeters{
				Ended:      tally.NewCounters(statuses...),
				FirstToken: tally.NewLong(),
				Speed:      tally.NewHistogram(1, 2.5, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500),
			}
		}, models...),
		Asides: tally.NewSet(func() *tally.Counters {
			return tally.NewCounters(asideOK, asideFailed, asideBusy, asideNoTokens)
		}, purposeLabel(usageday.PurposeTITLE), purposeLabel(usageday.PurposeSUMMARY)),
		Checkpoint: tally.NewQuick(),
		Takeovers:  tally.NewCounters(takenCrashed, takenReleased),
		counted:    models,
		same:       same,
	}
}

func purposeLabel(p usageday.Purpose) string { return strings.ToLower(string(p)) }

// aside counts what came of one.
func (m *Meters) aside(p usageday.Purpose, result string) {
	m.Asides.Of(purposeLabel(p)).Of(result).Inc()
}

// of returns the meters of a reply's model: those of its name, else those of a name that
// means the same model, since a model server calls some by more than they are configured as.
func (m *Meters) of(row *ent.Message) *ModelMeters {
	if row.Model == nil {
		return m.Models.Of(tally.Other)
	}
	name := *row.Model
	if m.same == nil || slices.Contains(m.counted, name) {
		return m.Models.Of(name)
	}
	if i := slices.IndexFunc(m.counted, func(c string) bool { return m.same(c, name) }); i >= 0 {
		name = m.counted[i]
	}
	return m.Models.Of(name)
}

// ended counts a reply that has got its final row.
func (m *Meters) ended(final *ent.Message) {
	of := m.of(final)
	of.Ended.Of(strings.ToLower(string(final.Status))).Inc()
	for _, used := range []struct {
		counter *tally.Counter
		tokens  *int
	}{{&of.PromptTokens, final.PromptTokens}, {&of.CompletionTokens, final.CompletionTokens}} {
		if used.tokens != nil {
			used.counter.Add(*used.tokens)
		}
	}
}

// fewTokens is from how many on a speed means something.
const fewTokens = 5

// spoke counts how quick an attempt was, which has ended now.
func (m *Meters) spoke(a *Attempt, final *ent.Message, now time.Time) {
	first := a.live.spokeFirst()
	if first.IsZero() {
		return
	}
	of := m.of(final)
	of.FirstToken.Took(first.Sub(a.began))
	passed := now.Sub(first).Seconds()
	n := final.CompletionTokens
	if n != nil && *n >= fewTokens && final.Status == message.StatusCOMPLETED && passed > 0 {
		of.Speed.Observe(float64(*n) / passed)
	}
}

// Meters returns what the engine counts.
func (e *Engine) Meters() *Meters { return e.meters }

// Mirrors returns how many replies of other replicas are watched here.
func (e *Engine) Mirrors() int {
	e.mirrors.mu.Lock()
	defer e.mirrors.mu.Unlock()
	return len(e.mirrors.byReply)
}

// Lease returns how long it is since the lease was renewed, and whether it is in doubt.
func (e *Engine) Lease(now time.Time) (age time.Duration, doubted bool) {
	e.lease.mu.Lock()
	defer e.lease.mu.Unlock()
	if e.lease.sure.IsZero() {
		return 0, e.lease.doubt.Load()
	}
	return now.Sub(e.lease.sure.Add(-e.lease.length * 2 / 3)), e.lease.doubt.Load()
}
