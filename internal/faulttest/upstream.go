package faulttest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// modelName is the only model of the scripted model server.
const modelName = "scripted"

// question is what a client asks, and at the same time the script of the answer.
type question struct {
	Key   string // Unique; also the client key of the send.
	User  string
	Words int
	Pace  time.Duration // Between two words.
}

var questionForm = regexp.MustCompile(`\[key=(\S+) canary-([a-z0-9]+) words=(\d+) pace=(\d+)\]`)

// String is the text of the user's message.
func (q question) String() string {
	return fmt.Sprintf("Tell me more, größer, 日本語 🦜. [key=%s canary-%s words=%d pace=%d]", q.Key, q.User, q.Words,
		q.Pace.Milliseconds())
}

// parseQuestion finds the last question in a text: Parley joins the questions
// whose replies failed with the next one.
func parseQuestion(text string) (question, bool) {
	all := questionForm.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return question{}, false
	}
	m := all[len(all)-1]
	words, _ := strconv.Atoi(m[3]) // The form lets digits through only.
	pace, _ := strconv.Atoi(m[4])
	return question{Key: m[1], User: m[2], Words: words, Pace: time.Duration(pace) * time.Millisecond}, true
}

// vocabulary has runes of one to four bytes, of one and two UTF-16 units, and one
// that is only whole with the rune before it.
var vocabulary = []string{"tide", "größer", "naïve", "日本", "語", "🦜", "e\u0301tude", "мост", "a", "👩‍🚀", "well", "\n"}

// answer is the whole text of one take of an answer. It depends on nothing but
// the question and the number of the take: two takes differ nearly everywhere, so
// that a mixture of two attempts shows.
func (q question) answer(take int) string { return strings.Join(q.pieces(take), "") }

func (q question) pieces(take int) []string {
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%s/%d", q.Key, take) // A hash never fails.
	random := rand.New(rand.NewPCG(hash.Sum64(), uint64(take)))
	list := []string{fmt.Sprintf("Take %d for canary-%s:", take, q.User)}
	for range q.Words {
		list = append(list, " "+vocabulary[random.IntN(len(vocabulary))])
	}
	return list
}

// duration is how long the model speaks.
func (q question) duration() time.Duration { return time.Duration(q.Words) * q.Pace }

// model is a server that speaks OpenAI's streaming chat completions. It says what
// the question is the script of, and writes down every call.
type model struct {
	history  *history
	listener net.Listener
	server   *http.Server
	served   chan struct{}

	mu    sync.Mutex // guards calls and what is in it
	calls map[string][]*span
}

// span is when a call began and, once it has, ended.
type span struct {
	from, to time.Duration
	ended    bool
}

// startModel serves on a free port of the loopback interface. The caller closes it.
func startModel(h *history) (*model, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &model{history: h, listener: l, served: make(chan struct{}), calls: make(map[string][]*span)}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(m.served)
		_ = m.server.Serve(l) // Ends when it is closed.
	}()
	return m, nil
}

func (m *model) addr() string { return m.listener.Addr().String() }

func (m *model) close() {
	_ = m.server.Close() // Nothing to be done about connections that resist.
	<-m.served
}

// ServeHTTP answers a completion.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The caller has gone.
	}
	var prompt struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.Unmarshal(body, &prompt); err != nil || len(prompt.Messages) == 0 {
		http.Error(w, "no prompt", http.StatusBadRequest)
		return
	}
	q, ok := parseQuestion(prompt.Messages[len(prompt.Messages)-1].Content)
	if !ok {
		http.Error(w, "no script", http.StatusBadRequest)
		return
	}
	at := &span{from: m.history.now()}
	m.mu.Lock()
	m.calls[q.Key] = append(m.calls[q.Key], at)
	c := &call{Key: q.Key, Take: len(m.calls[q.Key]), Canaries: canariesIn(body)}
	m.mu.Unlock()
	m.speak(w, r, q, c)
	m.mu.Lock()
	at.to, at.ended = m.history.now(), true
	m.mu.Unlock()
	m.history.addAt(record{Op: opCall, From: at.from, At: at.to, Call: c})
}

// take returns when a call for a key took place, counted from 1, and false when it
// has not begun yet.
func (m *model) take(key string, n int) (span, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls[key]) < n {
		return span{}, false
	}
	return *m.calls[key][n-1], true
}

// speak writes the answer word by word.
func (m *model) speak(w http.ResponseWriter, r *http.Request, q question, c *call) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(max(q.Pace, time.Millisecond))
	defer tick.Stop()
	for _, piece := range q.pieces(c.Take) {
		if !writeEvent(w, map[string]any{"delta": map[string]string{"content": piece}, "index": 0}) || flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	c.Finished = writeEvent(w, map[string]any{"delta": map[string]string{}, "index": 0, "finish_reason": "stop"})
	_, _ = io.WriteString(w, "data: [DONE]\n\n") // The caller may have gone.
}

func writeEvent(w io.Writer, choice map[string]any) bool {
	text, err := json.Marshal(map[string]any{
		"id": "c", "object": "chat.completion.chunk", "created": 1, "model": modelName, "choices": []any{choice},
	})
	if err != nil {
		return false
	}
	_, err = fmt.Fprintf(w, "data: %s\n\n", text)
	return err == nil
}
