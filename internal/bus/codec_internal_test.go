package bus

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

func samplePiece() reply.Piece {
	return reply.Piece{
		MessageID: pid.New(pid.Message), Attempt: 2, TextOffset: 1000, Text: " and a token's worth of text",
		ReasoningOffset: 300, Reasoning: "hm 🐈", TextLen: 2000, ReasoningLen: 400,
	}
}

func TestFactFrames(t *testing.T) {
	t.Parallel()
	for kind := fact.ConversationCreated; kind <= fact.ReplyReleased; kind++ {
		f := fact.Fact{
			Kind: kind, UserID: pid.New(pid.User), ConversationID: pid.New(pid.Conversation),
			MessageID: pid.New(pid.Message), SessionID: pid.New(pid.AuthSession),
		}
		data, ok := encodeFact(f)
		if !ok || len(data) > maxFactBytes {
			t.Fatalf("kind %d has no name on the wire, or %d bytes", kind, len(data))
		}
		if got, ok := decodeFact(data); !ok || got != f {
			t.Errorf("got %+v, want %+v", got, f)
		}
	}
	// The names are a promise to replicas of other versions.
	if data, _ := encodeFact(fact.Fact{Kind: fact.StopRequested}); string(data) != `{"kind":"stop_requested"}` {
		t.Errorf("a stop is written as %s", data)
	}
	if _, ok := encodeFact(fact.Fact{Kind: fact.ReplyReleased + 1}); ok {
		t.Error("an unknown kind is written")
	}
}

// All that is cut off or turned around somewhere is refused or makes sense.
func TestFramesCutShort(t *testing.T) {
	t.Parallel()
	p := samplePiece()
	data := appendPiece(nil, p)
	for i := range data {
		if got, ok := decodePiece(data[:i]); ok {
			t.Fatalf("%d of %d bytes are a piece: %+v", i, len(data), got)
		}
	}
	q := reply.Question{MessageID: p.MessageID, Attempt: 1, Text: 200, Reasoning: 300}
	data = appendQuestion(nil, q)
	if got, ok := decodeQuestion(data); !ok || got != q {
		t.Fatalf("got %+v, want %+v", got, q)
	}
	for i := range data {
		if got, ok := decodeQuestion(data[:i]); ok {
			t.Fatalf("%d of %d bytes are a question: %+v", i, len(data), got)
		}
	}
	// A later version may have more to say.
	if got, ok := decodePiece(append(appendPiece(nil, p), "more"...)); !ok || got != p {
		t.Errorf("with a field to come: %+v, want %+v", got, p)
	}
	if _, ok := decodePiece(append([]byte{wireVersion + 1}, appendPiece(nil, p)[1:]...)); ok {
		t.Error("a piece of an unknown version is accepted")
	}
}

func TestPiecesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*reply.Piece){
		"id":           func(p *reply.Piece) { p.MessageID = "msg_*" },
		"kind of id":   func(p *reply.Piece) { p.MessageID = pid.New(pid.User) },
		"attempt":      func(p *reply.Piece) { p.Attempt = -1 },
		"offset":       func(p *reply.Piece) { p.TextOffset = -1 },
		"huge offset":  func(p *reply.Piece) { p.TextOffset, p.TextLen = maxPosition+1, maxPosition+100 },
		"beyond text":  func(p *reply.Piece) { p.TextLen = p.TextOffset + len(p.Text) - 1 },
		"beyond":       func(p *reply.Piece) { p.ReasoningLen = 0 },
		"half a rune":  func(p *reply.Piece) { p.Text = "\xf0\x9f" },
		"no UTF-8":     func(p *reply.Piece) { p.Reasoning = "\xff" },
		"too much":     func(p *reply.Piece) { p.Text, p.TextLen = strings.Repeat("x", maxPieceBytes+1), maxPosition },
		"much too big": func(p *reply.Piece) { p.Text, p.TextLen = strings.Repeat("x", 3*maxPieceBytes), maxPosition },
	} {
		p := samplePiece()
		change(&p)
		if got, ok := decodePiece(appendPiece(nil, p)); ok {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func TestAnswerFrames(t *testing.T) {
	t.Parallel()
	p := samplePiece()
	if got, err := decodeAnswer(appendAnswer(nil, p, true)); err != nil || got != p {
		t.Errorf("got %+v, %v; want %+v", got, err, p)
	}
	if _, err := decodeAnswer(appendAnswer(nil, p, false)); !errors.Is(err, reply.ErrNotRunning) {
		t.Errorf("got %v, want not running", err)
	}
	for _, data := range []string{"", "\x01", "\x01\x07", "\x02\x01", "\x01\x00", "\x01\x00\x02"} {
		if _, err := decodeAnswer([]byte(data)); !errors.Is(err, reply.ErrNoAnswer) {
			t.Errorf("%q: got %v, want no answer", data, err)
		}
	}
}

func TestSplitAnything(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", strings.Repeat("🐈", maxPieceBytes/2),
		strings.Repeat("\x80", maxPieceBytes*2+1)} {
		for _, reasoning := range []string{"", "a", strings.Repeat("€", maxPieceBytes)} {
			parts := slices.Collect(split(reply.Piece{Text: text, Reasoning: reasoning}))
			var gotText, gotReasoning strings.Builder
			for _, p := range parts {
				if p.TextOffset != gotText.Len() || p.ReasoningOffset != gotReasoning.Len() ||
					len(p.Text)+len(p.Reasoning) > maxPieceBytes {
					t.Fatalf("a part of %d and %d bytes at %d and %d", len(p.Text), len(p.Reasoning), p.TextOffset,
						p.ReasoningOffset)
				}
				gotText.WriteString(p.Text)
				gotReasoning.WriteString(p.Reasoning)
			}
			if gotText.String() != text || gotReasoning.String() != reasoning {
				t.Errorf("%d and %d bytes: the parts are not the whole", len(text), len(reasoning))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	p := samplePiece()
	f.Add(appendPiece(nil, p))
	f.Add(appendPiece(nil, reply.Piece{MessageID: p.MessageID}))
	f.Add(appendAnswer(nil, p, true))
	f.Add(appendAnswer(nil, p, false))
	f.Add(appendQuestion(nil, reply.Question{MessageID: p.MessageID, Attempt: 1, Text: 2, Reasoning: 3}))
	fact, _ := encodeFact(fact.Fact{Kind: fact.AccessRevoked, UserID: pid.New(pid.User)})
	f.Add(fact)
	f.Add([]byte("\x01\x1e" + string(p.MessageID) + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x01\x1e" + string(p.MessageID) + "\x00\x00\xff\xff\xff\xff\x07"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok := decodePiece(data); ok {
			checkPiece(t, p)
		}
		if p, err := decodeAnswer(data); err == nil {
			checkPiece(t, p)
		}
		if q, ok := decodeQuestion(data); ok {
			if !q.MessageID.Is(pid.Message) || min(q.Attempt, q.Text, q.Reasoning) < 0 {
				t.Errorf("the question %+v", q)
			}
			if again, ok := decodeQuestion(appendQuestion(nil, q)); !ok || again != q {
				t.Errorf("%+v became %+v", q, again)
			}
		}
		if fact, ok := decodeFact(data); ok {
			encoded, ok := encodeFact(fact)
			if again, ok2 := decodeFact(encoded); !ok || !ok2 || again != fact {
				t.Errorf("%+v became %+v", fact, again)
			}
		}
	})
}

func checkPiece(t *testing.T, p reply.Piece) {
	t.Helper()
	sane := p.MessageID.Is(pid.Message) && min(p.Attempt, p.TextOffset, p.ReasoningOffset) >= 0 &&
		p.TextOffset+len(p.Text) <= p.TextLen && p.ReasoningOffset+len(p.Reasoning) <= p.ReasoningLen &&
		max(p.TextLen, p.ReasoningLen) <= maxPosition && len(p.Text)+len(p.Reasoning) <= reply.MaxAnswerBytes &&
		utf8.ValidString(p.Text) && utf8.ValidString(p.Reasoning)
	if !sane {
		t.Errorf("the piece %+v", p)
	}
	if again, ok := decodePiece(appendPiece(nil, p)); !ok || again != p {
		t.Errorf("%+v became %+v", p, again)
	}
}

func BenchmarkPiece(b *testing.B) {
	p := samplePiece()
	data := appendPiece(nil, p)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = appendPiece(buf[:0], p)
		}
		if !bytes.Equal(buf, data) {
			b.Error("not the same")
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := decodePiece(data); !ok {
				b.Fatal("refused")
			}
		}
	})
}
