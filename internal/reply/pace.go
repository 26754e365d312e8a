package reply

import (
	"context"
	"errors"
	"strings"
	"time"

	"parley/ent"
)

// pace is when the parts of a reply came, of one call of a model. A call that is made again
// counts for itself, and so does the attempt that takes a reply over.
type pace struct {
	asked   time.Time // when the model was called
	first   time.Time // the first piece of text or reasoning
	thought time.Time // the first piece of reasoning, if that came before the answer
	spoke   time.Time // the first word of the answer
}

// note takes a piece. It looks at the clock only while there is something to measure.
func (p *pace) note(c Channel, piece string, now func() time.Time) {
	var at time.Time
	if p.first.IsZero() {
		at = now()
		p.first = at
	}
	if !p.spoke.IsZero() {
		return
	}
	part := &p.spoke
	switch {
	case c == Reasoning:
		part = &p.thought
	case strings.TrimSpace(piece) == "":
		return // Models put empty lines around their thoughts.
	}
	if !part.IsZero() {
		return
	}
	if at.IsZero() {
		at = now()
	}
	*part = at
}

// put writes what was measured into a reply that has ended at now. One that never came to an
// answer has thought until its end.
func (p *pace) put(m *ent.Message, now time.Time) {
	m.FirstTokenMs, m.ReasoningMs = nil, nil
	if !p.asked.IsZero() && !p.first.IsZero() {
		m.FirstTokenMs = milliseconds(p.first.Sub(p.asked))
	}
	if p.thought.IsZero() {
		return
	}
	if !p.spoke.IsZero() {
		now = p.spoke
	}
	m.ReasoningMs = milliseconds(now.Sub(p.thought))
}

func milliseconds(d time.Duration) *int {
	ms := int(max(0, d).Milliseconds())
	return &ms
}

// ask calls the model. What goes on with a text is joined to it.
func (a *Attempt) ask(ctx context.Context, request Request) (Result, error) {
	a.live.asks()
	text := startOf(a.row)[Content]
	if text == "" {
		return a.engine.upstream.Generate(ctx, request, a.live)
	}
	s := newSeam(a.live, text)
	result, err := a.engine.upstream.Generate(ctx, request, s)
	return result, errors.Join(err, s.flush())
}

// asks notes that the model is called now.
func (l *live) asks() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace = pace{asked: l.now()}
}

// measure writes how quick the reply was into its final state. When the text of an earlier
// attempt has been kept, nothing is known of that one's times, nor of its sources.
func (a *Attempt) measure(final *ent.Message) {
	if final.Attempt != a.row.Attempt {
		final.Citations = ""
		return
	}
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	a.live.pace.put(final, a.live.now())
}
