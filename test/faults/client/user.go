// Package client is the people who use a cluster: users that send, stop, delete and read,
// watchers that follow replies, and a load of many of them at once.
//
// It speaks to the server over the real transports: HTTP, Server-Sent Events, WebSocket. It
// knows a replica by its address and nothing of processes, so that it sees what any client
// could see. It writes all of it into the history and concludes nothing from it. Its one
// invariant: every answer and every event that arrives is recorded as it came.
//
// What lives where: user.go has the operations of a user, watch.go the subscriptions,
// writer.go one client that writes, load.go all of them, transport.go the wire.
package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"parley/test/faults/history"
	"parley/test/faults/script"
	"parley/test/faults/wait"
)

// Replica is a replica as a client knows it.
type Replica struct {
	Name string
	Addr string // Host and port.
}

// User is an account with its token, which outlasts every run. Each of its operations
// is one try, whose outcome it adds to the history.
type User struct {
	Name     string
	token    string
	replicas []Replica
	history  *history.History
}

const password = "a canary in a coal mine"

// SignUp makes an account while no faults happen. The first of the replicas makes it;
// the user turns to any of them.
func SignUp(ctx context.Context, replicas []Replica, h *history.History, name string) (*User, error) {
	a, err := post(ctx, replicas[0], "",
		`mutation ($e: String!, $p: String!) { signUp(input: {email: $e, password: $p}) { accessToken } }`,
		map[string]any{"e": name + "@example.com", "p": password})
	var data struct{ SignUp struct{ AccessToken string } }
	if err == nil && len(a.Errors) == 0 {
		err = json.Unmarshal(a.Data, &data)
	}
	if err != nil || data.SignUp.AccessToken == "" {
		return nil, fmt.Errorf("sign up: %w, %v", err, a.Errors)
	}
	return &User{Name: name, token: data.SignUp.AccessToken, replicas: replicas, history: h}, nil
}

// any returns a random replica, running or not.
func (u *User) any(random *rand.Rand) Replica { return u.replicas[random.IntN(len(u.replicas))] }

// outcomeOf says what a client may conclude from an answer. UNAVAILABLE and
// INTERNAL promise nothing: the database may have gone in the middle of a commit.
func outcomeOf(a answer, err error) (history.Outcome, string) {
	switch code := a.code(); {
	case err != nil:
		return history.Unknown, ""
	case len(a.Errors) == 0:
		return history.OK, ""
	case code == "UNAVAILABLE", code == "INTERNAL", code == "":
		return history.Unknown, code
	default:
		return history.Refused, code
	}
}

// ask sends one operation and completes its record, which the caller adds.
func (u *User) ask(ctx context.Context, on Replica, r *history.Record, query string, variables map[string]any,
	data any) {
	r.User, r.Replica, r.From = u.Name, on.Name, u.history.Now()
	a, err := post(ctx, on, u.token, query, variables)
	r.Outcome, r.Code = outcomeOf(a, err)
	r.Canaries = a.canaries
	switch {
	case err != nil:
		r.Note = err.Error()
	case len(a.Errors) > 0:
		r.Note = a.Errors[0].Message
		r.RetryAfter = time.Duration(a.Errors[0].Extensions.RetryAfter) * time.Second
	default:
		if err := json.Unmarshal(a.Data, data); err != nil {
			r.Outcome, r.Note = history.Unknown, err.Error()
		}
	}
}

// sent is what sendMessage answers.
type sent struct {
	Deduplicated bool
	Conversation struct{ ID string }
	Reply        struct {
		ID, Status string
		Parent     struct{ ID string }
	}
}

// Sending is one message on its way, which may take several sends, or another version of one.
type Sending struct {
	Question     script.Question
	Conversation string // Empty: a new one.
	OnBusy       string // Empty: the default.
	Verb         Verb   // Empty: a message.
	Of           string // The message that gets another version.
	Key          string // Empty: the question's. Of a version of a reply it begins with that.
}

// Verb is the mutation by which another version is asked for.
type Verb string

// The mutations that ask a model for a version.
const (
	Regenerate Verb = "regenerateReply"
	Edit       Verb = "editMessage"
	Continue   Verb = "continueReply"
)

// Send sends once and returns the record it has added.
func (u *User) Send(ctx context.Context, who string, on Replica, s Sending) history.Record {
	r := history.Record{Op: history.OpSend, Who: who, Key: cmp.Or(s.Key, s.Question.Key),
		Content: s.Question.String()}
	input := map[string]any{"clientKey": r.Key}
	if s.Verb == "" || s.Verb == Edit {
		input["content"] = r.Content
	}
	if s.Verb != "" {
		input["messageId"] = s.Of
	} else if s.Conversation != "" {
		input["conversationId"] = s.Conversation
	}
	if s.OnBusy != "" {
		input["onBusy"] = s.OnBusy
	}
	var data struct{ Sent sent }
	verb := string(cmp.Or(s.Verb, "sendMessage"))
	u.ask(ctx, on, &r, `mutation ($input: `+strings.ToUpper(verb[:1])+verb[1:]+`Input!) { sent: `+verb+`(input: $input) {
		deduplicated conversation { id } reply { id status parent { id } } } }`, map[string]any{"input": input}, &data)
	if r.Outcome == history.OK {
		got := data.Sent
		r.Conversation, r.Message, r.Reply, r.Deduplicated = got.Conversation.ID, got.Reply.Parent.ID, got.Reply.ID,
			got.Deduplicated
	} else {
		r.Conversation = s.Conversation
	}
	u.history.Add(r)
	return r
}

// Stop asks once for a reply to be stopped.
func (u *User) Stop(ctx context.Context, who string, on Replica, reply string) history.Record {
	r := history.Record{Op: history.OpStop, Who: who, Reply: reply}
	var data struct {
		StopReply struct{ Message struct{ Status string } }
	}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id status } } }`,
		map[string]any{"id": reply}, &data)
	if r.Outcome == history.OK {
		r.Note = data.StopReply.Message.Status
	}
	u.history.Add(r)
	return r
}

// stopAnywhere asks one replica after the other until there is an answer.
func (u *User) stopAnywhere(ctx context.Context, random *rand.Rand, reply string) error {
	for u.Stop(ctx, "impatient", u.any(random), reply).Outcome == history.Unknown {
		if !wait.For(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// remove deletes a conversation, with one try.
func (u *User) remove(ctx context.Context, who string, on Replica, conversation string) history.Record {
	r := history.Record{Op: history.OpDelete, Who: who, Conversation: conversation}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { deleteConversation(input: {conversationId: $id}) { __typename } }`,
		map[string]any{"id": conversation}, new(any))
	u.history.Add(r)
	return r
}

// choose makes the line through a message the visible one, with one try.
func (u *User) choose(ctx context.Context, who string, on Replica, message string) history.Record {
	r := history.Record{Op: history.OpChoose, Who: who, Message: message}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { selectBranch(input: {messageId: $id}) { __typename } }`,
		map[string]any{"id": message}, new(any))
	u.history.Add(r)
	return r
}

// trim deletes a message with all that follows it, with one try.
func (u *User) trim(ctx context.Context, who string, on Replica, conversation, message string) history.Record {
	r := history.Record{Op: history.OpTrim, Who: who, Conversation: conversation, Message: message}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { deleteMessage(input: {messageId: $id}) { __typename } }`,
		map[string]any{"id": message}, new(any))
	u.history.Add(r)
	return r
}

// probe asks for another user's reply, in every way, and records what came of it.
func (u *User) probe(ctx context.Context, who string, on Replica, reply string) {
	var node struct{ Node *struct{ ID, Content string } }
	r := history.Record{Op: history.OpProbe, Who: who, Reply: reply}
	u.ask(ctx, on, &r, `query ($id: ID!) { node(id: $id) { ... on Message { id content } } }`,
		map[string]any{"id": reply}, &node)
	if r.Outcome == history.OK && node.Node == nil {
		r.Outcome = history.Refused // Nothing there that this user may see, as it should be.
	}
	u.history.Add(r)

	stop := history.Record{Op: history.OpProbe, Who: who, Reply: reply}
	u.ask(ctx, on, &stop, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id content } } }`,
		map[string]any{"id": reply}, new(any))
	u.history.Add(stop)

	follow := history.Record{Op: history.OpProbe, Who: who, Reply: reply, User: u.Name, Replica: on.Name,
		From:    u.history.Now(),
		Outcome: history.Unknown}
	ctx, cancel := context.WithTimeout(ctx, RequestLimit)
	defer cancel()
	_ = subscribe(ctx, on, false, u.token, messageEvents(false), map[string]any{"id": reply}, func(a answer) error {
		follow.Outcome, follow.Code = outcomeOf(a, nil)
		follow.Canaries = append(follow.Canaries, a.canaries...)
		return errLeft
	}) // How it ended is in the record.
	u.history.Add(follow)
}

// readAll reads every message of a conversation through a replica into the history.
func (u *User) readAll(ctx context.Context, on Replica, conversation string) error {
	type node struct {
		ID, Role, Content, Status string
		Index, Attempt            int
		Parent                    *struct{ ID string }
	}
	cursor := any(nil)
	for {
		var data struct {
			Conversation *struct {
				Messages struct {
					Nodes    []node
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}
		var r history.Record
		u.ask(ctx, on, &r, `query ($id: ID!, $after: String) { conversation(id: $id) { messages(first: 50, after: $after) {
			nodes { id role content status index attempt parent { id } } pageInfo { hasNextPage endCursor } } } }`,
			map[string]any{"id": conversation, "after": cursor}, &data)
		if r.Outcome != history.OK {
			return fmt.Errorf("final read through %s: %s %s", on.Name, r.Code, r.Note)
		}
		if data.Conversation == nil {
			return nil // Deleted; whether it should be is for the judge.
		}
		page := data.Conversation.Messages
		for _, n := range page.Nodes {
			m := &history.Row{ID: n.ID, Conversation: conversation, User: u.Name, Index: n.Index, Active: true,
				Role:    n.Role,
				Content: n.Content, Status: n.Status, Attempt: n.Attempt}
			if n.Parent != nil {
				m.Parent = n.Parent.ID
			}
			u.history.Add(history.Record{Op: history.OpRead, User: u.Name, Replica: on.Name, Conversation: conversation,
				Canaries: r.Canaries, Row: m})
		}
		if !page.PageInfo.HasNextPage {
			return nil
		}
		cursor = page.PageInfo.EndCursor
	}
}
