// Package script is what clients ask and what the model has to answer. A question is the
// script of its own answer, so that client, model and judge agree without a word.
//
// It owns the form of a question, the words of an answer, and the canaries: marks that say
// whose words a text holds. It sends and serves nothing. Its one invariant: an answer
// depends on its question and the number of the take alone.
package script

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Question is what a client asks, and at the same time the script of the answer.
type Question struct {
	Key   string // Unique; also the client key of the send.
	User  string
	Words int
	Pace  time.Duration // Between two words.
}

const versionMark = "_v"

// VersionKey is the client key of the n-th thing that a client does, which asks for another
// answer to the question with a key.
func VersionKey(key string, n int) string { return fmt.Sprintf("%s%s%d", key, versionMark, n) }

// KeyOf is the key of the question that a client key asks for an answer to.
func KeyOf(clientKey string) string {
	key, _, _ := strings.Cut(clientKey, versionMark)
	return key
}

var questionForm = regexp.MustCompile(`\[key=(\S+) canary-([a-z0-9]+) words=(\d+) pace=(\d+)\]`)

// String is the text of the user's message.
func (q Question) String() string {
	return fmt.Sprintf("Tell me more, größer, 日本語 🦜. [key=%s canary-%s words=%d pace=%d]", q.Key, q.User, q.Words,
		q.Pace.Milliseconds())
}

// Parse finds the last question in a text: Parley joins the questions
// whose replies failed with the next one.
func Parse(text string) (Question, bool) {
	all := questionForm.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return Question{}, false
	}
	m := all[len(all)-1]
	words, _ := strconv.Atoi(m[3]) // The form lets digits through only.
	pace, _ := strconv.Atoi(m[4])
	return Question{Key: m[1], User: m[2], Words: words, Pace: time.Duration(pace) * time.Millisecond}, true
}

// vocabulary has runes of one to four bytes, of one and two UTF-16 units, and one
// that is only whole with the rune before it.
var vocabulary = []string{"tide", "größer", "naïve", "日本", "語", "🦜", "e\u0301tude", "мост", "a", "👩‍🚀", "well", "\n"}

// Answer is the whole text of one take of an answer. It depends on nothing but
// the question and the number of the take: two takes differ nearly everywhere, so
// that a mixture of two attempts shows.
func (q Question) Answer(take int) string { return strings.Join(q.Pieces(take), "") }

// Pieces are what the model says one after the other: a headline that names the take and
// the user, then the words.
func (q Question) Pieces(take int) []string {
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%s/%d", q.Key, take) // A hash never fails.
	random := rand.New(rand.NewPCG(hash.Sum64(), uint64(take)))
	list := []string{fmt.Sprintf("Take %d for canary-%s:", take, q.User)}
	for range q.Words {
		list = append(list, " "+vocabulary[random.IntN(len(vocabulary))])
	}
	return list
}

// Duration is how long the model speaks.
func (q Question) Duration() time.Duration { return time.Duration(q.Words) * q.Pace }

// canaryForm wants an end: a text that is cut in the middle of a name holds nobody's.
var canaryForm = regexp.MustCompile(`canary-([a-z0-9]+)[: ]`)

// Canaries returns whose words a text holds, each user once.
func Canaries(text []byte) []string {
	var users []string
	for _, m := range canaryForm.FindAllSubmatch(text, -1) {
		if user := string(m[1]); !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	return users
}
