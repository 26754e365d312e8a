package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// Short names, for these tests are full of them.
const (
	content = reply.Content
	thought = reply.Reasoning
)

type (
	texts    = reply.Texts
	position = reply.Position
)

func samplePiece() reply.Piece {
	return reply.Piece{
		MessageID: pid.New(pid.Message), Attempt: 2,
		From:  position{content: 1000, thought: 300},
		Texts: texts{content: " and a token's worth of text", thought: "hm 🐈"},
		End:   position{content: 2000, thought: 400},
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
	if _, ok := encodeFact(fact.Fact{Kind: fact.MessageEdited + 1}); ok {
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
	q := reply.Question{MessageID: p.MessageID, Attempt: 1, Held: position{content: 200, thought: 300}}
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
	for _, version := range []byte{wireVersion - 1, wireVersion + 1} {
		if _, ok := decodePiece(append([]byte{version}, appendPiece(nil, p)[1:]...)); ok {
			t.Errorf("a piece of version %d is accepted", version)
		}
	}
}

// A replica that knows more channels, or fewer, is understood as far as both know them.
func TestOtherNumbersOfChannels(t *testing.T) {
	t.Parallel()
	p := samplePiece()
	header := appendText([]byte{wireVersion}, string(p.MessageID))
	header = append(header, 2) // The attempt.
	channel := func(b []byte, from int, text string, end int) []byte {
		b = binary.AppendUvarint(b, uint64(from))
		b = appendText(b, text)
		return binary.AppendUvarint(b, uint64(end))
	}
	more := append(slices.Clone(header), 3)
	for c, text := range p.Texts {
		more = channel(more, p.From[c], text, p.End[c])
	}
	more = channel(more, 0, "what nobody knows yet", 100)
	if got, ok := decodePiece(more); !ok || got != p {
		t.Errorf("with a third channel: %+v, want %+v", got, p)
	}
	fewer := channel(append(slices.Clone(header), 1), 7, "hm", 9)
	want := reply.Piece{MessageID: p.MessageID, Attempt: 2, From: position{7}, Texts: texts{"hm"}, End: position{9}}
	if got, ok := decodePiece(fewer); !ok || got != want {
		t.Errorf("with one channel: %+v, want %+v", got, want)
	}
	asked := append(slices.Clone(header), 3, 10, 20, 30)
	if q, ok := decodeQuestion(asked); !ok || q.Held != (position{10, 20}) {
		t.Errorf("a question about three channels: %+v", q)
	}
}

func TestPiecesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*reply.Piece){
		"id":          func(p *reply.Piece) { p.MessageID = "msg_*" },
		"kind of id":  func(p *reply.Piece) { p.MessageID = pid.New(pid.User) },
		"attempt":     func(p *reply.Piece) { p.Attempt = -1 },
		"offset":      func(p *reply.Piece) { p.From[content] = -1 },
		"huge offset": func(p *reply.Piece) { p.From[content], p.End[content] = maxPosition+1, maxPosition+100 },
		"beyond text": func(p *reply.Piece) { p.End[content] = p.From[content] + len(p.Texts[content]) - 1 },
		"beyond":      func(p *reply.Piece) { p.End[thought] = 0 },
		"half a rune": func(p *reply.Piece) { p.Texts[content] = "\xf0\x9f" },
		"no UTF-8":    func(p *reply.Piece) { p.Texts[thought] = "\xff" },
		"too much": func(p *reply.Piece) {
			p.Texts[content], p.End[content] = strings.Repeat("x", maxPieceBytes+1), maxPosition
		},
		"much too big": func(p *reply.Piece) {
			p.Texts[content], p.End[content] = strings.Repeat("x", 3*maxPieceBytes), maxPosition
		},
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
	for _, data := range []string{"", "\x02", "\x02\x07", "\x01\x01", "\x02\x00", "\x02\x00\x03"} {
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
			parts := slices.Collect(split(reply.Piece{Texts: texts{content: text, thought: reasoning}}))
			var gotText, gotReasoning strings.Builder
			for _, p := range parts {
				size := len(p.Texts[content]) + len(p.Texts[thought])
				if want := (position{content: gotText.Len(), thought: gotReasoning.Len()}); p.From != want ||
					size > maxPieceBytes {
					t.Fatalf("a part of %d bytes at %d, want it at %d", size, p.From, want)
				}
				gotText.WriteString(p.Texts[content])
				gotReasoning.WriteString(p.Texts[thought])
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
	q := reply.Question{MessageID: p.MessageID, Attempt: 1, Held: position{content: 2, thought: 3}}
	f.Add(appendQuestion(nil, q))
	fact, _ := encodeFact(fact.Fact{Kind: fact.AccessRevoked, UserID: pid.New(pid.User)})
	f.Add(fact)
	f.Add([]byte("\x02\x1e" + string(p.MessageID) + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x02\x1e" + string(p.MessageID) + "\x00\x00\xff\xff\xff\xff\x07"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok := decodePiece(data); ok {
			checkPiece(t, p)
		}
		if p, err := decodeAnswer(data); err == nil {
			checkPiece(t, p)
		}
		if q, ok := decodeQuestion(data); ok {
			if !q.MessageID.Is(pid.Message) || min(q.Attempt, slices.Min(q.Held[:])) < 0 {
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
	sane, size := p.MessageID.Is(pid.Message) && p.Attempt >= 0, 0
	for c, text := range p.Texts {
		size += len(text)
		sane = sane && p.From[c] >= 0 && p.From[c]+len(text) <= p.End[c] && p.End[c] <= maxPosition &&
			utf8.ValidString(text)
	}
	if !sane || size > reply.MaxAnswerBytes {
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
