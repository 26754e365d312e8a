package faulttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// op says what a record is about.
type op string

// The kinds of records.
const (
	opRun       op = "run"       // The settings of the run; the first record.
	opSend      op = "send"      // A client sent a message.
	opStop      op = "stop"      // A client asked for a reply to be stopped.
	opDelete    op = "delete"    // A client deleted a conversation.
	opProbe     op = "probe"     // A client asked for what is another user's.
	opSubscribe op = "subscribe" // A client began to follow a message.
	opEvent     op = "event"     // An event of a subscription arrived.
	opEnd       op = "end"       // A subscription ended.
	opFeed      op = "feed"      // An event of a conversation or of the list arrived.
	opFeedEnd   op = "feedEnd"   // The subscription to a conversation or to the list ended.
	opFault     op = "fault"     // The nemesis did something.
	opHeal      op = "heal"      // All faults are over.
	opSettled   op = "settled"   // All replies are final.
	opCall      op = "call"      // A call of the model, from the model's own log.
	opWrite     op = "write"     // A change of a reply's row, from the database's own log.
	opRow       op = "row"       // A message in the final read of the database.
	opSendRow   op = "sendRow"   // The record of a send in the final read of the database.
	opRead      op = "read"      // A message in a final read through the API.
)

// outcome says how an operation of a client ended.
type outcome string

// The outcomes. A client that got no answer, or one that promises nothing, does
// not know whether its operation took place.
const (
	ok      outcome = "ok"
	refused outcome = "refused"
	unknown outcome = "unknown"
)

// record is one entry of a history. Only the fields its op needs are set.
type record struct {
	Op op `json:"op"`
	// From and At are when an operation began and ended, since the history began.
	From time.Duration `json:"from,omitempty"`
	At   time.Duration `json:"at"`
	// Who is the client; it is one user's, and follows one message when it follows.
	Who     string `json:"who,omitempty"`
	User    string `json:"user,omitempty"`
	Replica string `json:"replica,omitempty"`

	Outcome outcome `json:"outcome,omitempty"`
	Code    string  `json:"code,omitempty"`
	Note    string  `json:"note,omitempty"`

	Key          string `json:"key,omitempty"`
	Content      string `json:"content,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Message      string `json:"message,omitempty"` // The user's message of a send.
	Reply        string `json:"reply,omitempty"`
	Deduplicated bool   `json:"deduplicated,omitempty"`

	// Sub numbers the subscriptions; Cursor is where one began.
	Sub    int    `json:"sub,omitempty"`
	Cursor string `json:"cursor,omitempty"`
	// Late marks a subscription that began after all replies were final.
	Late bool `json:"late,omitempty"`

	Event *seen     `json:"event,omitempty"`
	Call  *call     `json:"call,omitempty"`
	Write *write    `json:"write,omitempty"`
	Row   *row      `json:"row,omitempty"`
	Run   *settings `json:"run,omitempty"`

	// Canaries are the users whose words were in what the client received.
	Canaries []string `json:"canaries,omitempty"`
}

// settings are what the checker must know of a run.
type settings struct {
	Seed       uint64        `json:"seed"`
	Lease      time.Duration `json:"lease"`
	MaxRunning int           `json:"maxRunning"`
	// Settle is how long after the faults all replies must be final.
	Settle time.Duration `json:"settle"`
	// Fault is the longest that one fault lasts.
	Fault time.Duration `json:"fault"`
	// Feed is how long after the last reply a feed may still be silent about a loss.
	Feed time.Duration `json:"feed"`
}

// The kinds of events of a subscription to a message, as the API names them.
const (
	snapshot       = "MessageSnapshot"
	delta          = "MessageDelta"
	reasoningDelta = "MessageReasoningDelta"
	finished       = "MessageFinished"
)

// seen is an event of a message as a client got it.
type seen struct {
	Kind    string `json:"kind"`
	Status  string `json:"status,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	Content string `json:"content,omitempty"` // Of snapshots and the end.
	Offset  int    `json:"offset,omitempty"`  // Of deltas, in UTF-16 units.
	Text    string `json:"text,omitempty"`
	Cursor  string `json:"cursor,omitempty"`
	Error   string `json:"error,omitempty"`
}

// The ways a subscription ends.
const (
	endComplete = "complete" // The server completed it.
	endCut      = "cut"      // The connection broke, or the server ended it with an error.
	endLeft     = "left"     // The client left.
)

// call is one request as the model saw it.
type call struct {
	Key      string   `json:"key"`
	Take     int      `json:"take"`
	Finished bool     `json:"finished"` // The finish reason has been written.
	Canaries []string `json:"canaries"` // The users whose words are in the prompt.
}

// write is a change of a reply's row, in the order of Seq.
type write struct {
	Seq     int64  `json:"seq"`
	Kind    string `json:"kind"` // INSERT, UPDATE or DELETE.
	Message string `json:"message"`
	User    string `json:"user"`
	Attempt int    `json:"attempt"`
	Owner   string `json:"owner"`
	Status  string `json:"status"`
	Length  int    `json:"length"`
	Stop    bool   `json:"stop"`
}

// row is a message as the final read found it, in the database or through the API.
type row struct {
	ID           string `json:"id"`
	Conversation string `json:"conversation"`
	User         string `json:"user,omitempty"`
	Parent       string `json:"parent,omitempty"`
	Index        int    `json:"index"`
	Active       bool   `json:"active"`
	Role         string `json:"role"`
	Content      string `json:"content"`
	Status       string `json:"status"`
	Error        string `json:"error,omitempty"`
	Attempt      int    `json:"attempt"`
	Owner        string `json:"owner,omitempty"`
}

// isFinal reports whether a status never changes any more.
func isFinal(status string) bool { return status != "QUEUED" && status != "STREAMING" }

// history is an append-only list of records. It is safe for concurrent use.
type history struct {
	began time.Time

	mu      sync.Mutex // guards the fields below
	records []record
	subs    int
}

func newHistory() *history { return &history{began: time.Now()} }

// now is the time since the history began.
func (h *history) now() time.Duration { return time.Since(h.began) }

// add appends a record as of now.
func (h *history) add(r record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.At = time.Since(h.began)
	h.records = append(h.records, r)
}

// addAt appends a record that carries its own time.
func (h *history) addAt(r record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
}

// subscription returns the number of a new subscription.
func (h *history) subscription() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs++
	return h.subs
}

// fault records what the nemesis did.
func (h *history) fault(replica, format string, args ...any) {
	h.add(record{Op: opFault, Replica: replica, Note: fmt.Sprintf(format, args...)})
}

// all returns the records so far.
func (h *history) all() []record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.records)
}

// save writes the history as JSON lines.
func (h *history) save(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range h.all() {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return w.Flush()
}

// readHistory reads what save wrote.
func readHistory(in io.Reader) ([]record, error) {
	var list []record
	dec := json.NewDecoder(in)
	for {
		var r record
		switch err := dec.Decode(&r); err {
		case nil:
			list = append(list, r)
		case io.EOF:
			return list, nil
		default:
			return nil, fmt.Errorf("history, record %d: %w", len(list)+1, err)
		}
	}
}
