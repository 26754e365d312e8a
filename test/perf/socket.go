package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// The documents of the client. Those of a delta are what a client needs to apply it.
const (
	createDocument = `mutation ($input: CreateConversationInput!) { createConversation(input: $input) { conversation { id } } }`
	sendDocument   = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { reply { id status content } } }`
	statusDocument = `query ($id: ID!) { node(id: $id) { ... on Message { status } } }`
	feedDocument   = `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename ` +
		`... on ConversationSnapshot { conversation { id } runningReply { id } } ` +
		`... on MessageAdded { message { id role } } ` +
		`... on MessageSnapshot { message { id status attempt content } } ` +
		`... on MessageDelta { offset text message { id } } ` +
		`... on MessageFinished { message { id role status attempt content error { code } } } } }`
)

const (
	// socketsOfUser is how many chats share a user: what the server allows one.
	socketsOfUser = 20
	// answerLimit is how long a client waits for the next sign of life it needs.
	answerLimit = 60 * time.Second
)

// socketChat is one WebSocket with one subscription to one conversation, on which it
// also sends, as a browser's tab does. When the socket is cut it dials again.
type socketChat struct {
	addr  string
	user  string // An address in X-Forwarded-For; "": none.
	token string

	conversation string
	conn         *websocket.Conn
	answers      chan frame // Of the operation that is waited for.
	reading      sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	feed   int        // The operation of the subscription in force.
	next   int        // The last operation.
	wanted string     // The operation whose answers are waited for.
	synced chan struct{}
	reply  *reply // What is being received, nil for nothing; its fields are guarded as well.
	ended  chan struct{}
	past   string        // The reply before it.
	stray  bool          // An event of the reply before it came after its end.
	gone   chan struct{} // closed with the socket
	cut    error         // Why the socket is of no use any more.
}

// noUser is the number of those who come by no proxy, which a server in development refuses.
const noUser = -1

// openSocket returns a chat with a new conversation, of the user by that number.
func openSocket(ctx context.Context, addr string, user int, token string) (*socketChat, error) {
	c := &socketChat{addr: addr, token: token}
	if user != noUser {
		c.user = fmt.Sprintf("10.%d.%d.%d", user>>16&255, user>>8&255, user&255)
	}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	if err := c.renew(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// sockets is shared by all: an upgraded connection is no longer its business.
var sockets = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}

// dial connects and, where there is a conversation, follows it.
func (c *socketChat) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	header := http.Header{}
	if c.user != "" {
		header.Set("X-Forwarded-For", c.user)
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+c.addr+"/graphql", &websocket.DialOptions{
		HTTPClient: sockets, HTTPHeader: header, Subprotocols: []string{"graphql-transport-ws"},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	conn.SetReadLimit(16 << 20)
	c.mu.Lock()
	c.conn, c.cut, c.answers, c.gone = conn, nil, make(chan frame, 8), make(chan struct{})
	c.mu.Unlock()
	hello := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + c.token + `"}}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		return errors.Join(err, conn.CloseNow())
	}
	for acknowledged := false; !acknowledged; {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("connection_init: %w", err), conn.CloseNow())
		}
		var f frame
		if err := json.Unmarshal(raw, &f); err != nil {
			return errors.Join(err, conn.CloseNow())
		}
		acknowledged = f.Type == "connection_ack"
	}
	answers, gone := c.answers, c.gone
	c.reading.Go(func() { c.read(conn, answers, gone) })
	if c.conversation != "" {
		return c.follow(ctx)
	}
	return nil
}

func (c *socketChat) close() {
	_ = c.conn.CloseNow() // It may have been cut.
	c.reading.Wait()
}

// say sends one message of the protocol. The payload may be nil.
func (c *socketChat) say(ctx context.Context, id, kind string, payload any) error {
	message := map[string]any{"id": id, "type": kind}
	if payload != nil {
		message["payload"] = payload
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return c.conn.Write(ctx, websocket.MessageText, text)
}

// operate runs one operation and returns its only result.
func (c *socketChat) operate(ctx context.Context, document string, variables map[string]any) (result, error) {
	var r result
	c.mu.Lock()
	c.next++
	id := strconv.Itoa(c.next)
	c.wanted = id
	answers := c.answers
	c.mu.Unlock()
	if err := c.say(ctx, id, "subscribe", map[string]any{"query": document, "variables": variables}); err != nil {
		return r, c.why(err)
	}
	f, err := receiveFrame(ctx, answers, id)
	switch {
	case err != nil:
		return r, c.why(err)
	case f.Type == "error":
		err = json.Unmarshal(f.Payload, &r.Errors)
	default:
		err = json.Unmarshal(f.Payload, &r)
	}
	if err != nil {
		return r, err
	}
	return r, refusalOf(r.Errors)
}

var errCut = errors.New("the socket was cut")

func receiveFrame(ctx context.Context, answers <-chan frame, id string) (frame, error) {
	for {
		select {
		case f, ok := <-answers:
			if !ok {
				return frame{}, errCut
			}
			if f.ID == id { // Else it is late, of one that was given up.
				return f, nil
			}
		case <-ctx.Done():
			return frame{}, context.Cause(ctx)
		}
	}
}

// why prefers the reason for which the socket was cut to what followed from it.
func (c *socketChat) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut != nil && (errors.Is(err, errCut) || !errors.Is(err, context.DeadlineExceeded)) {
		return c.cut
	}
	return err
}

// renew begins a new conversation and follows it instead.
func (c *socketChat) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	// Named, so that no model is asked for a name.
	r, err := c.operate(ctx, createDocument, map[string]any{"input": map[string]any{"name": "perf"}})
	if err != nil {
		return fmt.Errorf("createConversation: %w", err)
	}
	c.conversation = r.Data.CreateConversation.Conversation.ID
	return c.follow(ctx)
}

// follow subscribes to the conversation, ends the subscription before, and returns when
// the first event is there.
func (c *socketChat) follow(ctx context.Context) error {
	c.mu.Lock()
	before := c.feed
	c.next++
	c.feed = c.next
	id := strconv.Itoa(c.feed)
	c.synced = make(chan struct{})
	synced := c.synced
	c.past = ""
	c.mu.Unlock()
	if before > 0 {
		if err := c.say(ctx, strconv.Itoa(before), "complete", nil); err != nil {
			return c.why(err)
		}
	}
	variables := map[string]any{"id": c.conversation}
	if err := c.say(ctx, id, "subscribe", map[string]any{"query": feedDocument, "variables": variables}); err != nil {
		return c.why(err)
	}
	select {
	case <-synced:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.cut
	case <-ctx.Done():
		return fmt.Errorf("conversationEvents: %w", context.Cause(ctx))
	}
}

// ask sends a question and waits for its reply.
func (c *socketChat) ask(ctx context.Context, r *reply) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit+time.Duration(r.script.tokens)*r.script.gap, errTooLong)
	defer cancel()
	ended, err := c.expect(ctx, r)
	if err != nil {
		return err
	}
	input := map[string]any{"conversationId": c.conversation, "content": r.script.String(), "clientKey": r.script.key}
	sent := time.Now()
	answer, err := c.operate(ctx, sendDocument, map[string]any{"input": input})
	c.mu.Lock()
	r.admitted = time.Since(sent)
	gone := c.gone
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.match(r, answer)
	select {
	case <-ended:
	case <-gone:
	case <-ctx.Done():
		return c.inquire(context.WithoutCancel(ctx), answer.Data.SendMessage.Reply.ID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.done {
		return c.cut
	}
	c.reply, c.past = nil, r.id
	return nil
}

// openReply is a reply that the server took and whose end did not arrive in time.
type openReply struct {
	addr, token, id string
}

// status asks for it over HTTP; "" when there is no answer.
func (o *openReply) status(ctx context.Context) string {
	r, err := post(ctx, o.addr, o.token, statusDocument, map[string]any{"id": o.id})
	if err != nil || r.Data.Node == nil {
		return ""
	}
	return r.Data.Node.Status
}

// running reports whether a status is not a final one.
func running(status string) bool { return status == "STREAMING" || status == "QUEUED" || status == "" }

// inquire says what the server knows about a reply whose end has not arrived.
func (c *socketChat) inquire(ctx context.Context, id string) error {
	o := &openReply{addr: c.addr, token: c.token, id: id}
	code := "no end within a minute"
	if status := o.status(ctx); status != "" {
		code += ", and the status is " + status
	}
	return &refusal{code: code, open: o}
}

// expect makes r what is received, and dials where the socket was cut. The channel is
// closed at the end of the reply.
func (c *socketChat) expect(ctx context.Context, r *reply) (<-chan struct{}, error) {
	c.mu.Lock()
	if c.reply != r {
		if c.reply != nil { // It was given up.
			c.past = c.reply.id
		}
		c.reply, c.ended = r, make(chan struct{})
	}
	if r.first == 0 { // A question that was refused before begins anew: its waiting is the client's.
		r.begun = time.Now()
	}
	if c.stray {
		r.fail("an event of the reply before it came after that one's end")
		c.stray = false
	}
	ended, cut := c.ended, c.cut
	c.mu.Unlock()
	if cut == nil {
		return ended, nil
	}
	c.reading.Wait()
	c.feed = 0 // Nothing to end on the new socket.
	return ended, c.dial(ctx)
}

var errTooLong = errors.New("no answer within a minute")

// match compares the answer to the send with what arrived already. An answer that
// repeats a send of which the end was missed tells the end.
func (c *socketChat) match(r *reply, answer result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := answer.Data.SendMessage.Reply
	if r.id != "" && r.id != got.ID {
		r.fail("the events were of %s, the answer of %s", r.id, got.ID)
	}
	r.id = got.ID
	if !r.done && !running(got.Status) {
		r.finish(got.Status, []byte(got.Content), time.Now())
		close(c.ended)
	}
}

// read takes all that the socket receives until it ends.
func (c *socketChat) read(conn *websocket.Conn, answers chan<- frame, gone chan<- struct{}) {
	defer close(gone)
	defer close(answers)
	for {
		// Without a deadline: each read of one costs a timer.
		_, raw, err := conn.Read(context.Background())
		if err == nil {
			err = c.take(raw, answers, time.Now())
		}
		if err != nil {
			_ = conn.CloseNow() // It is cut mostly.
			c.mu.Lock()
			c.cut = cutBy(err)
			if c.synced != nil {
				close(c.synced)
				c.synced = nil
			}
			c.mu.Unlock()
			return
		}
	}
}

// cutBy names the end of a socket by its code.
func cutBy(err error) error {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return &refusal{code: fmt.Sprintf("socket closed with %d", closed.Code)}
	}
	return &refusal{code: "socket cut"}
}

// take acts on one frame.
func (c *socketChat) take(raw []byte, answers chan<- frame, now time.Time) error {
	if offset, text, id, ok := quickDelta(raw); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.isCurrent(string(id)) {
			c.reply.delta(offset, text, now)
		}
		return nil
	}
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	if f.Type == "ping" {
		return c.conn.Write(context.Background(), websocket.MessageText, []byte(`{"type":"pong"}`))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.ID != strconv.Itoa(c.feed) {
		if f.ID == c.wanted && f.Type != "complete" {
			select {
			case answers <- f:
			default: // Nobody waits for it: it was given up.
			}
		}
		return nil
	}
	var r result
	switch f.Type {
	case "complete":
		return errors.New("the feed was completed")
	case "error":
		return fmt.Errorf("the feed was refused: %s", f.Payload)
	}
	if err := json.Unmarshal(f.Payload, &r); err != nil {
		return err
	}
	if err := refusalOf(r.Errors); err != nil {
		return err
	}
	c.handle(r.Data.ConversationEvents, now)
	return nil
}

// handle acts on an event. The caller holds mu.
func (c *socketChat) handle(e *event, now time.Time) {
	if e == nil {
		return
	}
	switch e.Typename {
	case "ConversationSnapshot":
		if c.synced != nil {
			close(c.synced)
			c.synced = nil
		}
	case "MessageSnapshot":
		if c.isCurrent(e.Message.ID) {
			c.reply.snapshot(e.Message.Attempt, []byte(e.Message.Content), now)
		}
	case "MessageDelta":
		if c.isCurrent(e.Message.ID) {
			c.reply.delta(e.Offset, []byte(e.Text), now)
		}
	case "MessageFinished":
		if !strings.EqualFold(e.Message.Role, "USER") && c.isCurrent(e.Message.ID) {
			status := e.Message.Status
			if e.Message.Error != nil {
				status += " " + e.Message.Error.Code
			}
			ended := c.reply.done
			c.reply.finish(status, []byte(e.Message.Content), now)
			if !ended {
				close(c.ended)
			}
		}
	}
}

// isCurrent reports whether an event is of the reply that is waited for. Until the send
// is answered it is the one that is not the one before. The caller holds mu.
func (c *socketChat) isCurrent(id string) bool {
	switch {
	case id == c.past:
		c.stray = true
		return false
	case c.reply == nil:
		return false
	case c.reply.id == "":
		c.reply.id = id
	}
	return c.reply.id == id
}
