// Package history is the record of a run: what every client did and was told, what the
// nemesis did, which calls reached the model, and what the database held in the end.
//
// It owns the form of the records and the list that they are added to, and it can write
// and read that list as JSON lines. It knows no cluster, and it judges nothing: package
// judge does. Its one invariant: a record that was added never changes.
package history

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

// Op says what a record is about.
type Op string

// The kinds of records.
const (
	OpRun       Op = "run"       // The settings of the run; the first record.
	OpSend      Op = "send"      // A client sent a message.
	OpStop      Op = "stop"      // A client asked for a reply to be stopped.
	OpDelete    Op = "delete"    // A client deleted a conversation.
	OpChoose    Op = "choose"    // A client chose another line.
	OpTrim      Op = "trim"      // A client deleted a message with what follows it.
	OpProbe     Op = "probe"     // A client asked for what is another user's.
	OpSubscribe Op = "subscribe" // A client began to follow a message.
	OpEvent     Op = "event"     // An event of a subscription arrived.
	OpEnd       Op = "end"       // A subscription ended.
	OpFeed      Op = "feed"      // An event of a conversation or of the list arrived.
	OpFeedEnd   Op = "feedEnd"   // The subscription to a conversation or to the list ended.
	OpFault     Op = "fault"     // The nemesis did something.
	OpProcess   Op = "process"   // A process began.
	OpMishap    Op = "mishap"    // Something befell a process or its links, from From to At.
	OpUpgrade   Op = "upgrade"   // The next process of a replica is of a newer version.
	OpHeal      Op = "heal"      // All faults are over.
	OpSettled   Op = "settled"   // All replies are final.
	OpCall      Op = "call"      // A call of the model, from the model's own log.
	OpWrite     Op = "write"     // A change of a reply's row, from the database's own log.
	OpLease     Op = "lease"     // A change of a replica's row, from the same log.
	OpRow       Op = "row"       // A message in the final read of the database.
	OpSendRow   Op = "sendRow"   // The record of a send in the final read of the database.
	OpRead      Op = "read"      // A message in a final read through the API.
)

// Outcome says how an operation of a client ended.
type Outcome string

// The outcomes. A client that got no answer, or one that promises nothing, does
// not know whether its operation took place.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Unknown Outcome = "unknown"
)

// Overloaded is the code of a server that has too much to do.
const Overloaded = "OVERLOADED"

// Record is one entry of a history. Only the fields its op needs are set.
type Record struct {
	Op Op `json:"op"`
	// From and At are when an operation began and ended, since the history began.
	From time.Duration `json:"from,omitempty"`
	At   time.Duration `json:"at"`
	// Who is the client; it is one user's, and follows one message when it follows.
	Who     string `json:"who,omitempty"`
	User    string `json:"user,omitempty"`
	Replica string `json:"replica,omitempty"`

	Outcome Outcome `json:"outcome,omitempty"`
	Code    string  `json:"code,omitempty"`
	Note    string  `json:"note,omitempty"`

	Key          string `json:"key,omitempty"`
	Content      string `json:"content,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Message      string `json:"message,omitempty"` // The user's message of a send.
	Reply        string `json:"reply,omitempty"`
	Deduplicated bool   `json:"deduplicated,omitempty"`
	// RetryAfter is when a client that was refused may come back.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`

	// Sub numbers the subscriptions; Cursor is where one began.
	Sub    int    `json:"sub,omitempty"`
	Cursor string `json:"cursor,omitempty"`
	// Late marks a subscription that began after all replies were final.
	Late bool `json:"late,omitempty"`

	Event *Seen     `json:"event,omitempty"`
	Call  *Call     `json:"call,omitempty"`
	Write *Write    `json:"write,omitempty"`
	Lease *Lease    `json:"lease,omitempty"`
	Row   *Row      `json:"row,omitempty"`
	Run   *Settings `json:"run,omitempty"`

	// Process is the id that the system gave the process in question, Address where that
	// listens; a mishap without a process is one of all that were in the replica's place.
	Process int    `json:"process,omitempty"`
	Address string `json:"address,omitempty"`
	Mishap  Mishap `json:"mishap,omitempty"`

	// Canaries are the users whose words were in what the client received.
	Canaries []string `json:"canaries,omitempty"`
}

// Settings are what the judge must know of a run.
type Settings struct {
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
	Snapshot       = "MessageSnapshot"
	Delta          = "MessageDelta"
	ReasoningDelta = "MessageReasoningDelta"
	Finished       = "MessageFinished"
)

// Seen is an event of a message as a client got it.
type Seen struct {
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
	EndComplete = "complete" // The server completed it.
	EndCut      = "cut"      // The connection broke, or the server ended it with an error.
	EndLeft     = "left"     // The client left.
)

// Call is one request as the model saw it.
type Call struct {
	Key      string   `json:"key"`
	Take     int      `json:"take"`
	Finished bool     `json:"finished"` // The finish reason has been written.
	Canaries []string `json:"canaries"` // The users whose words are in the prompt.
}

// Write is a change of a reply's row, in the order of Seq.
type Write struct {
	Seq     int64  `json:"seq"`
	Kind    string `json:"kind"` // INSERT, UPDATE or DELETE.
	Message string `json:"message"`
	User    string `json:"user"`
	Attempt int    `json:"attempt"`
	Owner   string `json:"owner"`
	Status  string `json:"status"`
	Length  int    `json:"length"`
	Stop    bool   `json:"stop"`
	Active  bool   `json:"active"`
}

// Lease is a change of a replica's row: it began, was renewed, or is gone.
type Lease struct {
	Replica string `json:"replica"` // The id that the process gave itself.
	Address string `json:"address"`
	Kind    string `json:"kind"` // INSERT, UPDATE or DELETE.
}

// Mishap says what befell a process, so that another one may have had to take its replies.
type Mishap string

// The mishaps. Those without a length are over when they begin.
const (
	Ended    Mishap = "ended"    // The process is gone.
	Asked    Mishap = "asked"    // It was asked to end.
	Frozen   Mishap = "frozen"   // It stood still.
	Panicked Mishap = "panicked" // A goroutine of it did, at a failpoint.
	CutOff   Mishap = "cutOff"   // It alone had no database.
	Upstream Mishap = "upstream" // Its way to the model was disturbed.
)

// Row is a message as the final read found it, in the database or through the API.
type Row struct {
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
	// Continued is how many bytes of the content are that of another reply, Continues.
	Continued int    `json:"continued,omitempty"`
	Continues string `json:"continues,omitempty"`
}

// IsFinal reports whether a status never changes any more.
func IsFinal(status string) bool { return status != "QUEUED" && status != "STREAMING" }

// History is an append-only list of records. It is safe for concurrent use.
type History struct {
	Began time.Time

	mu      sync.Mutex // guards the fields below
	records []Record
	subs    int
}

// New begins an empty history, now.
func New() *History { return &History{Began: time.Now()} }

// Now is the time since the history began.
func (h *History) Now() time.Duration { return time.Since(h.Began) }

// Add appends a record as of now.
func (h *History) Add(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.At = time.Since(h.Began)
	h.records = append(h.records, r)
}

// AddAt appends a record that carries its own time.
func (h *History) AddAt(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
}

// Subscription returns the number of a new subscription.
func (h *History) Subscription() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs++
	return h.subs
}

// Fault records what the nemesis did.
func (h *History) Fault(replica, format string, args ...any) {
	h.Add(Record{Op: OpFault, Replica: replica, Note: fmt.Sprintf(format, args...)})
}

// All returns the records so far.
func (h *History) All() []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.records)
}

// Save writes the history as JSON lines.
func (h *History) Save(path string) (err error) {
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
	for _, r := range h.All() {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return w.Flush()
}

// Read reads what save wrote.
func Read(in io.Reader) ([]Record, error) {
	var list []Record
	dec := json.NewDecoder(in)
	for {
		var r Record
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
