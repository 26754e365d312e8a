package bus

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"math"
	"unicode/utf8"

	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// What travels between replicas, of which some may be newer than others. Facts are
// JSON with named kinds; kinds and fields that are not known are left out. The
// rest begins with the version of its format, which stands in its subject too. A format
// may grow at its end, and in the number of its channels: those that a replica does not
// know it leaves out, and those it misses are empty. One that changed otherwise has
// another version. Replicas of two versions are strangers on the wire, and each follows
// the rows of the other. Nothing that is received is trusted to make sense.
const (
	wireVersion = 2
	// maxFactBytes leaves room for fields to come.
	maxFactBytes = 1 << 10
	// maxPieceBytes is what the texts of one piece hold at most together, maxFrameBytes a
	// whole message: below the megabyte that NATS servers allow.
	maxPieceBytes = reply.MaxAnswerBytes
	maxFrameBytes = maxPieceBytes + 1<<10
	// maxPosition bounds positions and attempts, so that sums of two do not overflow.
	maxPosition = math.MaxInt32
)

// The codes an answer begins with, behind the version.
const (
	answerPiece = iota
	answerNotRunning
)

// kindNames are for the wire: the numbers of fact.Kind may move.
var kindNames = map[fact.Kind]string{
	fact.ConversationCreated: "conversation_created",
	fact.ConversationUpdated: "conversation_updated",
	fact.ConversationDeleted: "conversation_deleted",
	fact.MessageAdded:        "message_added",
	fact.ReplyStarted:        "reply_started",
	fact.ReplyFinished:       "reply_finished",
	fact.StopRequested:       "stop_requested",
	fact.AccessRevoked:       "access_revoked",
	fact.ReplyReleased:       "reply_released",
	fact.LineChanged:         "line_changed",
	fact.MessageEdited:       "message_edited",
}

var kindsByName = func() map[string]fact.Kind {
	kinds := make(map[string]fact.Kind, len(kindNames))
	for kind, name := range kindNames {
		kinds[name] = kind
	}
	return kinds
}()

type factFrame struct {
	Kind         string `json:"kind"`
	User         pid.ID `json:"user,omitempty"`
	Conversation pid.ID `json:"conversation,omitempty"`
	Message      pid.ID `json:"message,omitempty"`
	Session      pid.ID `json:"session,omitempty"`
	Index        int    `json:"index,omitempty"`
	Revision     int    `json:"revision,omitempty"`
}

// encodeFact returns false for a kind that has no name on the wire.
func encodeFact(f fact.Fact) ([]byte, bool) {
	name, ok := kindNames[f.Kind]
	if !ok {
		return nil, false
	}
	data, err := json.Marshal(factFrame{name, f.UserID, f.ConversationID, f.MessageID, f.SessionID, f.Index,
		f.Revision})
	return data, err == nil
}

// decodeFact returns false for anything but a fact of a known kind whose ids are
// ids.
func decodeFact(data []byte) (fact.Fact, bool) {
	var w factFrame
	if len(data) > maxFactBytes || json.Unmarshal(data, &w) != nil {
		return fact.Fact{}, false
	}
	kind, ok := kindsByName[w.Kind]
	ok = ok && isOrEmpty(w.User, pid.User) && isOrEmpty(w.Conversation, pid.Conversation) &&
		isOrEmpty(w.Message, pid.Message) && isOrEmpty(w.Session, pid.AuthSession)
	if !ok {
		return fact.Fact{}, false
	}
	return fact.Fact{Kind: kind, UserID: w.User, ConversationID: w.Conversation, MessageID: w.Message,
		SessionID: w.Session, Index: min(max(w.Index, 0), maxPosition),
		Revision: min(max(w.Revision, 0), maxPosition)}, true
}

func isOrEmpty(id pid.ID, kind pid.Kind) bool { return id == "" || id.Is(kind) }

// appendPiece appends a piece that is small enough, see split.
func appendPiece(b []byte, p reply.Piece) []byte {
	b = append(b, wireVersion)
	b = appendText(b, string(p.MessageID))
	b = binary.AppendUvarint(b, uint64(p.Attempt))
	b = binary.AppendUvarint(b, uint64(len(p.Texts)))
	for c, text := range p.Texts {
		b = binary.AppendUvarint(b, uint64(p.From[c]))
		b = appendText(b, text)
		b = binary.AppendUvarint(b, uint64(p.End[c]))
	}
	return b
}

// decodePiece returns false for anything but a piece that makes sense in itself:
// its text is UTF-8, lies within what the owner has, and is not too long.
func decodePiece(data []byte) (reply.Piece, bool) {
	r := newFrame(data)
	r.version()
	p := reply.Piece{MessageID: r.id(pid.Message), Attempt: r.number()}
	size := 0
	for c := range r.channels() {
		from, text, end := r.number(), r.text(), r.number()
		size += len(text)
		if size > maxPieceBytes || from+len(text) > end || !utf8.ValidString(text) {
			r.bad = true
		}
		if c < len(p.Texts) {
			p.From[c], p.Texts[c], p.End[c] = from, text, end
		}
	}
	if r.bad {
		return reply.Piece{}, false
	}
	return p, true
}

func appendQuestion(b []byte, q reply.Question) []byte {
	b = append(b, wireVersion)
	b = appendText(b, string(q.MessageID))
	b = binary.AppendUvarint(b, uint64(q.Attempt))
	b = binary.AppendUvarint(b, uint64(len(q.Held)))
	for _, held := range q.Held {
		b = binary.AppendUvarint(b, uint64(held))
	}
	return b
}

func decodeQuestion(data []byte) (reply.Question, bool) {
	r := newFrame(data)
	r.version()
	q := reply.Question{MessageID: r.id(pid.Message), Attempt: r.number()}
	for c := range r.channels() {
		if held := r.number(); c < len(q.Held) {
			q.Held[c] = held
		}
	}
	if r.bad {
		return reply.Question{}, false
	}
	return q, true
}

// appendAnswer appends what the owner said: a piece, or that it does not run the
// reply.
func appendAnswer(b []byte, p reply.Piece, running bool) []byte {
	if !running {
		return append(b, wireVersion, answerNotRunning)
	}
	b = append(b, wireVersion, answerPiece)
	return appendPiece(b, p)
}

// decodeAnswer fails with ErrNotRunning when that is the answer, and with
// ErrNoAnswer when it is none.
func decodeAnswer(data []byte) (reply.Piece, error) {
	if len(data) < 2 || data[0] != wireVersion {
		return reply.Piece{}, reply.ErrNoAnswer
	}
	switch data[1] {
	case answerPiece:
		if p, ok := decodePiece(data[2:]); ok {
			return p, nil
		}
	case answerNotRunning:
		return reply.Piece{}, reply.ErrNotRunning
	}
	return reply.Piece{}, reply.ErrNoAnswer
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// frame reads a message from its beginning. Once something was wrong it reads
// nothing more.
type frame struct {
	data []byte
	// all is data in one string, of which every text is a part: one allocation.
	all string
	at  int
	bad bool
}

func newFrame(data []byte) frame {
	if len(data) > maxFrameBytes {
		return frame{bad: true}
	}
	return frame{data: data, all: string(data)}
}

func (r *frame) version() {
	if r.number() != wireVersion {
		r.bad = true
	}
}

func (r *frame) number() int {
	if r.bad {
		return 0
	}
	v, n := binary.Uvarint(r.data[r.at:])
	if n <= 0 || v > maxPosition {
		r.bad = true
		return 0
	}
	r.at += n
	return int(v)
}

// channels counts the channels that the frame says it has, while there is something to
// read.
func (r *frame) channels() iter.Seq[int] {
	return func(yield func(int) bool) {
		for c := range r.number() {
			if r.bad || !yield(c) {
				return
			}
		}
	}
}

func (r *frame) text() string {
	n := r.number()
	if n > len(r.data)-r.at {
		r.bad = true
	}
	if r.bad {
		return ""
	}
	r.at += n
	return r.all[r.at-n : r.at]
}

func (r *frame) id(kind pid.Kind) pid.ID {
	id := pid.ID(r.text())
	if !r.bad && !id.Is(kind) {
		r.bad = true
	}
	return id
}

// split cuts a piece into pieces that fit into a message, at the ends of runes.
// All of them say how much the owner has.
func split(p reply.Piece) iter.Seq[reply.Piece] {
	return func(yield func(reply.Piece) bool) {
		for {
			part := p
			part.Texts = cut(p.Texts)
			if !yield(part) {
				return
			}
			for c, text := range part.Texts {
				p.From[c], p.Texts[c] = p.From[c]+len(text), p.Texts[c][len(text):]
			}
			if p.Texts == (reply.Texts{}) {
				return
			}
		}
	}
}

// cut returns as much of the beginnings of the texts as fits into a message, earlier
// channels first.
func cut(texts reply.Texts) reply.Texts {
	room := maxPieceBytes
	for c, text := range texts {
		texts[c] = beginning(text, room)
		room -= len(texts[c])
	}
	return texts
}

// beginning returns the longest beginning of at most most bytes that ends with a rune.
func beginning(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && end > most-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
