package prompt

import "math"

// Line is what was read of the visible line before a reply.
type Line struct {
	// Rows are message 0 and the newest others, in index order.
	Rows []Row
	// Whole says that none was left out.
	Whole bool
	// Settings are those of the conversation, as they are stored.
	Settings string
	// Last is what the newest reply says that says it.
	Last Last
}

// Last is what a reply on the line says about its own prompt.
type Last struct {
	// From is the index at which its window began, 0 when no reply says.
	From int
	// Bytes, Count and Tokens are how long that prompt was, of how many messages, and what the
	// model server counted; 0: it did not.
	Bytes, Count, Tokens int
	// Cut is the model, with spaces for slashes, that had refused all of a line which was to be
	// sent whole. "": none has.
	Cut string
}

// Join takes over what an older part of the line says, as far as the newer one says nothing.
func (l *Last) Join(older Last) {
	if l.From == 0 {
		l.From, l.Cut = older.From, older.Cut
	}
	if l.Tokens == 0 {
		l.Bytes, l.Count, l.Tokens = older.Bytes, older.Count, older.Tokens
	}
}

// Digest is a summary in a prompt.
type Digest struct {
	// Reaches is the index of the last message it stands for.
	Reaches int
	Content string
}

// Window is what is sent of a line.
type Window struct {
	Messages []Message
	// Policy is the one that was used.
	Policy Policy
	// From is the index of the first message of the line that is sent, message 0 aside, Count how
	// many are, and Dropped how many before From are not. From is 0 when none is sent.
	From, Count, Dropped int
	// Summed says that the plan's summary is among the messages.
	Summed bool
	// Bytes is how long the texts are, and Tokens about how many tokens they make.
	Bytes, Tokens int
	// Doubted says that the model server would not answer the turn before this one.
	Doubted bool
	// Alone says that nothing before the newest question is sent.
	Alone bool
}

// The parts of a budget: where a window that has to move begins anew, and what it must be
// filled to for its start to stay when more would fit, as after a change of the model.
const (
	movesTo = 0.6
	tooFew  = 0.3
)

// Enough reports whether more of the line would change nothing.
func (p Plan) Enough(l Line) bool {
	if l.Whole {
		return true
	}
	_, c := p.settle(l)
	return c.done
}

// Choose returns what is sent of a line. It keeps its texts and copies none. It always sends
// message 0 and the newest question, and of what is between them whole turns, the newest: a
// question and the replies to it are one. The window begins where that of the last reply did,
// as long as it fits, so that the beginning of the prompt stays the same; see
// docs/adr/0020-windows.md.
func (p Plan) Choose(l Line) Window {
	p, c := p.settle(l)
	head, tail := l.Split()
	w := Window{Policy: p.Policy, Doubted: c.doubted, Alone: c.at.pos == c.newest && !c.all}
	text := ""
	if p.Summary != nil {
		text, w.Summed = p.Summary.Content, true
	}
	rest := tail[c.at.pos:]
	if c.all && p.Policy == Full {
		rest = tail // With system texts that are before the first question.
	}
	w.Messages = assemble(head, text, rest)
	w.Bytes = Size(w.Messages)
	w.Tokens = p.tokens(p.perByte(l), w.Bytes, len(w.Messages))
	w.Count = c.at.count
	if c.at.count > 0 {
		w.From = tail[c.at.pos].Index
		if !c.all {
			w.Dropped = max(w.From-1, 0)
		}
	}
	return w
}

// settle makes up its mind where the window begins. A summary is not used when there is no room
// for all that is behind it, nor when it tells of what the model server refuses.
func (p Plan) settle(l Line) (Plan, choice) {
	if p.Only {
		p.Summary = nil
	}
	if p.Summary == nil && p.Policy == Summarize {
		p.Policy = Truncate
	}
	c := p.choose(l)
	if p.Summary != nil && !c.summed {
		p.Policy, p.Summary = Truncate, nil
		c = p.choose(l)
	}
	return p, c
}

// Few and Many are how many rows more of a line are read at a time, if not All.
const Few, Many, All = 64, 512, 0

// Next is how many rows of a line are to be read next. Where nothing is left out by the plan,
// but by a cut that is not far, that is all of them.
func (p Plan) Next(l Line) int {
	_, tail := l.Split()
	if p.Policy == Full && !(p.Cuts(l) && len(tail) > 0 && tail[0].Index > l.Last.From) {
		return All
	}
	return l.Next()
}

// Next is how many rows of a line are to be read next: many only where the last window is that
// long.
func (l Line) Next() int {
	if _, tail := l.Split(); len(tail) > 0 && l.Last.From > 0 && tail[0].Index-l.Last.From >= Many {
		return Many
	}
	return Few
}

// Split divides a line into message 0 and the rest.
func (l Line) Split() (head, tail []Row) {
	if len(l.Rows) > 0 && l.Rows[0].Index == 0 && l.Rows[0].Role == System {
		return l.Rows[:1], l.Rows[1:]
	}
	return nil, l.Rows
}

// start is a place where a window may begin, and what it would send from there on.
type start struct {
	pos          int // Among the rows behind message 0.
	bytes, count int
	full         float64 // Which part of the budget it fills.
}

// choice is where a window begins, and why.
type choice struct {
	at start
	// done says that more of the line would not matter, all that everything there is is sent, and
	// summed that a summary goes well with it.
	done, all, summed bool
	newest            int // Where the newest question is.
	doubted           bool
}

// choose looks at the turns of a line from the newest to the oldest.
func (p Plan) choose(l Line) choice {
	head, tail := l.Split()
	s := scan{plan: p, line: l, perByte: p.perByte(l)}
	for _, r := range head {
		s.base += len(r.Content)
	}
	if p.Summary != nil {
		s.base += len(p.Summary.Content) + len(Joint)
	}
	s.last.pos, s.moved.pos = len(tail), len(tail) // Without a question nothing of the line is sent.
	for end := len(tail); end > 0 && !s.over; {
		pos := end - 1
		for pos > 0 && tail[pos].Role != User {
			pos--
		}
		if tail[pos].Role != User {
			break
		}
		s.turn(pos, tail[pos:end])
		end = pos
	}
	at := s.begin()
	return choice{at: at, done: s.over || s.settled, all: at.pos == s.last.pos && !s.over && l.Whole,
		newest: s.newest, doubted: s.suspects > 0 || s.proven, summed: !s.overflow && !s.distrusted}
}

// scan is the state of one look at the turns.
type scan struct {
	plan    Plan
	line    Line
	perByte float64
	base    int // Bytes that are sent in any case.

	sent          start // What has been seen so far and would be sent.
	turns         int   // How many of them have a question that is sent.
	last          start // The oldest that fits.
	moved, sticky start // The oldest to begin anew at, and where the last reply began.
	hasSticky     bool
	newest        int
	// settled says that nothing older would be sent, and over that something is not: it does not
	// fit, which is overflow, or is distrusted, or the policy leaves it out.
	settled, over, overflow, distrusted bool
	// answered says that a turn before the newest has been answered; suspects are those refused
	// turns behind it that were asked with what is before them, and proven says that one was
	// asked without, and refused all the same.
	answered bool
	suspects int
	proven   bool
	// barrier says that the turn before was answered without what is before it: if that was
	// refused, it is what is refused.
	barrier bool
}

// turn looks at a question and what follows it.
func (s *scan) turn(pos int, rows []Row) {
	open := opens(rows)
	answered, refused, alone := false, false, false
	sent := s.sent
	for _, r := range rows {
		if r.Role == Assistant {
			answered = answered || open && r.IsSent()
			refused = refused || !open && r.Refused && rows[0].Status == Completed
			alone = alone || r.Alone
		}
		if open && r.IsSent() && r.Role != System || r.Role == System && !blank(r.Content) {
			sent.bytes += len(r.Content) + len(Joint)
			sent.count++
		}
	}
	if s.turns > 0 && s.distrust(answered, refused, alone) {
		s.over, s.distrusted = true, true
		return
	}
	if sum := s.plan.Summary; sum != nil && rows[0].Index <= sum.Reaches && s.turns > 0 {
		s.over = true
		return
	}
	if !open || blank(rows[0].Content) {
		s.sent = sent // What was said to nothing goes on with the turn before.
		return
	}
	full := s.plan.fills(s.perByte, s.base+sent.bytes, sent.count+1)
	if s.turns > 0 && (full > 1 || s.settled && !s.plan.stays()) {
		s.over, s.overflow = true, !s.settled || s.plan.stays()
		return
	}
	sent.pos, sent.full = pos, full
	s.sent = sent
	s.accept(sent, rows[0].Index)
}

// accept takes a place into account that fits.
func (s *scan) accept(at start, index int) {
	s.last = at
	s.turns++
	if s.turns == 1 {
		s.newest = at.pos
	}
	if s.turns == 1 || at.full <= movesTo {
		s.moved = at
	}
	if index == s.line.Last.From {
		s.sticky, s.hasSticky = at, true
	}
	switch {
	case s.plan.Only, s.plan.Policy == LastN && s.turns >= s.plan.Turns:
		s.settled = true
	case s.hasSticky && s.plan.stays():
		s.settled = s.sticky.full >= tooFew || at.full > movesTo
	case s.hasSticky && s.plan.Policy == Full && s.plan.Cuts(s.line):
		s.settled = true
	}
}

// distrust reports whether what is before a turn, the turn included, has to be left out, since
// the model server refuses it: the last two turns were not answered, though nobody knows that
// their questions are to blame; or one was answered without it.
func (s *scan) distrust(answered, refused, alone bool) bool {
	if s.barrier && refused {
		return true
	}
	if answered {
		s.answered, s.barrier = true, alone
	}
	if s.answered {
		return false
	}
	switch {
	case refused && alone:
		s.proven = true
	case refused:
		s.suspects++
	}
	return s.suspects >= 2
}

// begin says where the window begins.
func (s *scan) begin() start {
	p := s.plan
	switch {
	case p.Only || p.fresh || p.Policy == Full || p.Summary != nil:
		return s.last
	case s.hasSticky && s.sticky.full >= tooFew && (p.stays() || s.overflow):
		return s.sticky
	case s.overflow, s.hasSticky && p.stays():
		return s.moved
	}
	return s.last
}

// stays reports whether a window stays where it was although more would fit.
func (p Plan) stays() bool { return p.Policy == Truncate && !p.fresh && !p.Only }

// fills is which part of the budget so many bytes of so many messages fill.
func (p Plan) fills(perByte float64, bytes, count int) float64 {
	if p.Policy == Full {
		return 0
	}
	full := 0.0
	if p.Budget > 0 {
		full = float64(p.tokens(perByte, bytes, count)) / float64(p.Budget)
	}
	if p.MaxBytes > 0 {
		full = max(full, float64(bytes)/float64(p.MaxBytes))
	}
	return full
}

// tokens estimates how many tokens so many bytes of so many messages make.
func (p Plan) tokens(perByte float64, bytes, count int) int {
	return int(math.Ceil(perByte*float64(bytes))) + tokensPerMessage*count
}
