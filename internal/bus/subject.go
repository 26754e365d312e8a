package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"parley/internal/fact"
	"parley/internal/pid"
)

// Namespace names an installation on a NATS server that others use too. It is
// made from the installation's issuer, which is unique where that matters.
func Namespace(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return hex.EncodeToString(sum[:8])
}

// subjects makes the subjects of one installation, all of them below
// parley.<namespace>. What is not a parsed id of the right kind gets no subject:
// a dot or a wildcard in one would reach what it must not.
type subjects struct {
	prefix string // With the dot at its end.
	// wire begins the subjects of everything but facts. It holds the version of their
	// formats, so that replicas of two versions never hear each other, and one that asks
	// another learns from NATS at once that nobody listens.
	wire string
}

func newSubjects(namespace string) (subjects, bool) {
	prefix := "parley." + namespace + "."
	return subjects{prefix: prefix, wire: prefix + "v" + strconv.Itoa(wireVersion) + "."}, isToken(namespace)
}

// fact is where the facts of a topic go.
func (s subjects) fact(t fact.Topic) (string, bool) {
	if t == fact.Control {
		return s.prefix + "fact." + string(t), true
	}
	name, id, _ := strings.Cut(string(t), ".")
	switch {
	case name == "user" && pid.ID(id).Is(pid.User), name == "conversation" && pid.ID(id).Is(pid.Conversation):
		return s.prefix + "fact." + string(t), true
	}
	return "", false
}

// piece is where the pieces of a reply go.
func (s subjects) piece(messageID pid.ID) (string, bool) {
	return s.wire + "piece." + string(messageID), messageID.Is(pid.Message)
}

// question is where the questions to a replica go.
func (s subjects) question(replica pid.ID) (string, bool) {
	return s.wire + "ask." + string(replica), replica.Is(pid.Replica)
}

// answer is where one connection awaits the answer to its nth question.
func (s subjects) answer(inbox string, n uint64) string {
	return s.answers(inbox) + strconv.FormatUint(n, 10)
}

// answers is what the subjects of all answers to one connection begin with.
func (s subjects) answers(inbox string) string { return s.wire + "answer." + inbox + "." }

// isAnswer reports whether the subject, which a peer has sent, is one of answer's.
func (s subjects) isAnswer(subject string) bool {
	rest, ok := strings.CutPrefix(subject, s.wire+"answer.")
	inbox, n, two := strings.Cut(rest, ".")
	return ok && two && isToken(inbox) && isToken(n)
}

// isToken reports whether the text may stand between two dots of a subject.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
