package graph_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"parley/internal/pid"
	"parley/internal/reply"
)

// alphabet has characters of every length in UTF-8 and UTF-16, and some that
// programs get wrong.
var alphabet = []string{
	"a", "é", "漢", "字", "😀", "👩‍👩‍👧", "e\u0301", "\u0301", "🇩🇪", "\u2028", "\u2029", "\ufeff", "\ufffd", "\U0010ffff",
	"\n", "\r\n",
	"\n\nevent: complete\n\n", "data: x\n\n", `"`, `\`, `\u0041`, "\x01", "\x7f", "</script>", " ", "عربى", "मनीष",
}

func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// cut divides a text at random bytes, also inside characters.
func cut(r *rand.Rand, text string, reasoning bool) []piece {
	var pieces []piece
	for text != "" {
		n := 1 + r.IntN(min(len(text), 9))
		pieces, text = append(pieces, piece{text[:n], reasoning}), text[n:]
	}
	return pieces
}

// shuffle mixes two lists without changing the order of either.
func shuffle(r *rand.Rand, a, b []piece) []piece {
	var out []piece
	for len(a)+len(b) > 0 {
		if r.IntN(len(a)+len(b)) < len(a) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

func (b *bundle) stored(p person, id pid.ID) (content, reasoning, status string) {
	b.t.Helper()
	a := b.ask(p, `query($id: ID!) { node(id: $id) { ... on Message { content reasoning status } } }`, vars{"id": id})
	return fmt.Sprint(a.at("node.content")), fmt.Sprint(a.at("node.reasoning")), fmt.Sprint(a.at("node.status"))
}

func TestMessageEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		s, model := b.start(ada, "")
		sub := b.follow(ada, s.reply, "")
		var now screen
		now.step(t, sub)
		if now.snapshots != 1 || now.text() != "" || now.status != "STREAMING" {
			t.Fatalf("got %+v, want an empty snapshot first", now)
		}
		model.write(t, piece{"I think ", true}, piece{"so 😀", true})
		for string(utf16.Decode(now.reasoning)) != "I think so 😀" {
			now.step(t, sub)
		}
		model.say(t, "Hello 😀")
		now.until(t, sub, 8)
		model.say(t, " 漢字 e\u0301 \xf0\x9f") // Half a character is held back.
		now.until(t, sub, 15)
		if now.text() != "Hello 😀 漢字 e\u0301 " {
			t.Errorf("got %q", now.text())
		}
		model.say(t, "\x98\x80!")
		now.until(t, sub, 18)
		model.finish(t, nil)
		now.toEnd(t, sub)
		if now.snapshots != 1 || now.status != "COMPLETED" || now.text() != "Hello 😀 漢字 e\u0301 😀!" {
			t.Errorf("got %+v %q", now, now.text())
		}
		content, reasoning, status := b.stored(ada, s.reply)
		if content != now.text() || reasoning != "I think so 😀" || status != "COMPLETED" {
			t.Errorf("stored are %q, %q, %s", content, reasoning, status)
		}

		// Afterwards: the text and the end, or the end alone.
		var again screen
		again.toEnd(t, b.follow(ada, s.reply, ""))
		if again.text() != now.text() || again.snapshots != 1 {
			t.Errorf("afterwards: got %q", again.text())
		}
		now.finished = false
		now.toEnd(t, b.follow(ada, s.reply, now.cursor))
		if now.snapshots != 1 {
			t.Error("a cursor at the end got a snapshot")
		}
		// Any message can be followed.
		var user screen
		user.toEnd(t, b.follow(ada, s.user, ""))
		if user.text() != "Tell me." || user.status != "COMPLETED" {
			t.Errorf("the user's message: got %q, %s", user.text(), user.status)
		}
	})
}

func TestFailureIsData(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	sub := b.follow(ada, s.reply, "")
	model.say(t, "half")
	model.finish(t, &reply.Error{Code: reply.CodeTruncated})
	var now screen
	for !now.finished {
		e := sub.event(t)
		now.apply(t, e.at("messageEvents"))
		if now.finished && (now.status != "FAILED" || now.text() != "half" ||
			e.at("messageEvents.message.error.code") != "UPSTREAM_TRUNCATED") {
			t.Errorf("got %s, want FAILED with the text so far", e.raw)
		}
	}
	sub.wantCompleted(t)
}

func TestStopIsSeen(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	sub := b.follow(ada, s.reply, "")
	model.say(t, "half 😀\xf0")
	stop := `mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { status content } } }`
	a := b.ask(ada, stop, vars{"id": s.reply})
	var now screen
	now.toEnd(t, sub)
	if now.status != "STOPPED" || now.text() != "half 😀\ufffd" {
		t.Errorf("got %s %q, want STOPPED with the text so far", now.status, now.text())
	}
	if a.at("stopReply.message.content") != now.text() || a.at("stopReply.message.status") != "STOPPED" {
		t.Errorf("stopReply answers %s", a.raw)
	}
	if again := b.ask(ada, stop, vars{"id": s.reply}); again.raw != a.raw {
		t.Errorf("stopping twice: got %s, want %s", again.raw, a.raw)
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	model.say(t, "ab😀")
	other, otherModel := b.start(ada, "")
	cursor := func(id pid.ID, attempt, text, reasoning int) string {
		at := reply.Position{reply.Content: text, reply.Reasoning: reasoning}
		return reply.Cursor{MessageID: id, Attempt: attempt, At: at}.String()
	}
	check := func(when string) {
		t.Helper()
		for name, after := range map[string]string{
			"another message":      cursor(other.reply, 1, 0, 0),
			"a message of nobody":  cursor(pid.New(pid.Message), 1, 0, 0),
			"beyond the text":      cursor(s.reply, 1, 7, 0),
			"far beyond":           cursor(s.reply, 1, 1<<40, 0),
			"beyond the reasoning": cursor(s.reply, 1, 0, 1),
			"inside a character":   cursor(s.reply, 1, 3, 0),
			"a later attempt":      cursor(s.reply, 9, 0, 0),
			"empty":                "",
			"garbage":              "garbage",
			"binary":               "\u0000😀",
			"padded":               cursor(s.reply, 1, 2, 0) + "=",
			"long":                 strings.Repeat("A", 5000),
			"a page's":             base64.RawURLEncoding.EncodeToString([]byte("m1 3")),
			"with a plus":          base64.RawURLEncoding.EncodeToString([]byte("r2 " + string(s.reply) + " 1 0 +2")),
			"with a rest":          base64.RawURLEncoding.EncodeToString([]byte("r2 " + string(s.reply) + " 1 0 2 0")),
		} {
			a := b.post(ada, followDocument, vars{"id": s.reply, "after": after})
			if a.code() != "BAD_USER_INPUT" || at(a.Errors[0].Extensions, "fields.after") == nil {
				t.Errorf("%s, a cursor of %s: got %s, want BAD_USER_INPUT about after", when, name, a.raw)
			}
		}
	}
	check("while it runs")
	// An earlier attempt starts over.
	var now screen
	now.step(t, b.follow(ada, s.reply, cursor(s.reply, 0, 500, 500)))
	if now.snapshots != 1 || now.text() != "ab😀" {
		t.Errorf("a cursor of an earlier attempt: got %q, want a snapshot", now.text())
	}
	model.finish(t, nil)
	otherModel.finish(t, nil)
	var end screen
	end.toEnd(t, b.follow(ada, s.reply, ""))
	check("afterwards")
	end = screen{}
	end.toEnd(t, b.follow(ada, s.reply, cursor(s.reply, 0, 500, 500)))
	if end.snapshots != 1 || end.text() != "ab😀" {
		t.Errorf("afterwards, a cursor of an earlier attempt: got %q, want a snapshot", end.text())
	}
}

// However a client comes and goes, it ends with the text that is stored, and no
// query shows less than it has seen.
func TestAnyInterleaving(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			content, reasoning := randomText(r, 1+r.IntN(60)), randomText(r, r.IntN(20))
			pieces := shuffle(r, cut(r, content, false), cut(r, reasoning, true))
			s, model := b.startOwn(t, ada)
			viewers := make([]*wanderer, 1+r.IntN(3))
			for i := range viewers {
				viewers[i] = &wanderer{b: b, p: ada, id: s.reply}
			}
			for len(pieces) > 0 {
				if r.IntN(3) == 0 {
					viewers[r.IntN(len(viewers))].move(t, r)
					continue
				}
				model.write(t, pieces[0])
				pieces = pieces[1:]
			}
			model.finish(t, nil)
			for _, v := range viewers {
				if r.IntN(2) == 0 {
					v.leave()
				}
				v.attach(t, r)
				v.now.toEnd(t, v.sub)
				if got := v.now.text(); got != content {
					t.Errorf("got %q, want %q", got, content)
				}
			}
			if got, thoughts, status := b.stored(ada, s.reply); got != content || thoughts != reasoning ||
				status != "COMPLETED" {
				t.Errorf("stored are %q, %q, %s; want %q and %q", got, thoughts, status, content, reasoning)
			}
			// And from every place it has ever been.
			for _, v := range viewers {
				for _, state := range v.past {
					state.toEnd(t, b.follow(ada, s.reply, state.cursor))
					if state.text() != content {
						t.Errorf("from a cursor: got %q, want %q", state.text(), content)
					}
				}
			}
		})
	}
}

// startOwn is start when other tests use the same model: it finds its own call.
func (b *bundle) startOwn(t *testing.T, p person) (sent, *script) {
	t.Helper()
	mark := string(pid.New(pid.Send))
	s := b.send(p, "", mark, vars{"model": modelPieces})
	for {
		model := b.pieces.call(t)
		if model.request.Messages[len(model.request.Messages)-1].Text() == mark {
			return s, model
		}
		b.pieces.waiting <- model // Somebody else's.
	}
}

// wanderer is a client that comes, reads a while, goes, and comes back.
type wanderer struct {
	b    *bundle
	p    person
	id   pid.ID
	sub  *subscriber
	now  screen
	past []screen
}

func (v *wanderer) attach(t *testing.T, r *rand.Rand) {
	if v.sub != nil {
		return
	}
	before := v.now.snapshots
	switch {
	case len(v.past) == 0 || r.IntN(3) == 0:
		v.now = screen{}
		v.sub = v.b.follow(v.p, v.id, "")
		v.now.step(t, v.sub)
		if v.now.snapshots != 1 {
			t.Fatal("no snapshot without a cursor")
		}
		return
	case r.IntN(2) == 0:
		v.now = v.past[r.IntN(len(v.past))]
		before = v.now.snapshots
	}
	v.sub = v.b.follow(v.p, v.id, v.now.cursor)
	if v.now.snapshots != before {
		t.Fatal("a snapshot behind a cursor")
	}
}

func (v *wanderer) leave() {
	if v.sub != nil {
		v.sub.cancel()
		v.sub = nil
	}
}

func (v *wanderer) move(t *testing.T, r *rand.Rand) {
	switch {
	case v.sub == nil:
		v.attach(t, r)
	case r.IntN(4) == 0:
		v.leave()
		return
	}
	content, reasoning, status := v.b.stored(v.p, v.id)
	behind := len(v.now.content) < len(utf16.Encode([]rune(content))) ||
		len(v.now.reasoning) < len(utf16.Encode([]rune(reasoning)))
	if behind { // Otherwise there is nothing to wait for.
		v.now.step(t, v.sub)
	}
	v.past = append(v.past, v.now)
	after, _, _ := v.b.stored(v.p, v.id)
	if !strings.HasPrefix(after, v.now.text()) || status != "STREAMING" {
		t.Errorf("a query shows %q (%s), the subscription has shown %q", after, status, v.now.text())
	}
}

// A subscriber that never reads costs the others nothing, and one that has gone
// stops nothing.
func TestPaces(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	asleep := b.follow(ada, s.reply, "")
	slow, quick := b.follow(ada, s.reply, ""), b.follow(ada, s.reply, "")
	gone := b.follow(ada, s.reply, "")
	var left, slowly, quickly screen
	left.step(t, gone)
	gone.cancel()
	slowly.step(t, slow)
	quickly.step(t, quick)
	const n = 2000
	events := 0
	for i := range n {
		model.say(t, "😀") // Returns only when the reply has it: the model's reader waits for nobody.
		if i%2 == 0 {
			before := len(quickly.content)
			for len(quickly.content) == before {
				quickly.step(t, quick)
			}
		}
		if i%500 == 499 {
			slowly.step(t, slow)
			events++
		}
	}
	model.finish(t, nil)
	quickly.toEnd(t, quick)
	for !slowly.finished {
		slowly.step(t, slow)
		events++
	}
	if events > 10 {
		t.Errorf("the slow subscriber got %d events, want a few big ones", events)
	}
	want := strings.Repeat("😀", n)
	if quickly.text() != want || slowly.text() != want {
		t.Error("a subscriber ended with another text")
	}
	if _, _, status := b.stored(ada, s.reply); status != "COMPLETED" {
		t.Errorf("the reply is %s, want COMPLETED", status)
	}
	asleep.cancel()
}

// The document a simple client writes works without knowing the kinds of events.
func TestSimpleSubscription(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	sub := b.subscribe(ada, `subscription($id: ID!) { messageEvents(messageId: $id) { message { id status content conversation { id runningReply { id } } parent { id } } } }`, vars{"id": s.reply})
	sub.event(t)
	model.say(t, "Hello")
	model.finish(t, nil)
	content, status := "", ""
	for {
		e, ok := sub.next(t)
		if !ok {
			break
		}
		if now := fmt.Sprint(e.at("messageEvents.message.content")); !strings.HasPrefix(now, content) {
			t.Errorf("the content went from %q to %q", content, now)
		}
		content, status = fmt.Sprint(e.at("messageEvents.message.content")),
			fmt.Sprint(e.at("messageEvents.message.status"))
		if e.id("messageEvents.message.conversation.id") != s.conversation ||
			e.id("messageEvents.message.parent.id") != s.user {
			t.Errorf("got %s", e.raw)
		}
	}
	if content != "Hello" || status != "COMPLETED" {
		t.Errorf("ended with %q, %s", content, status)
	}
}
