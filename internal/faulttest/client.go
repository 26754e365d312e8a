package faulttest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// door is a replica as a client knows it.
type door struct {
	name string
	addr string // Host and port.
}

// user is an account with its token, which outlasts every run. Each of its operations
// is one try, whose outcome it adds to the history.
type user struct {
	name    string
	token   string
	doors   []door
	history *history
}

const password = "a canary in a coal mine"

// signUp makes an account while no faults happen. The first of the replicas makes it;
// the user turns to any of them.
func signUp(ctx context.Context, doors []door, h *history, name string) (*user, error) {
	a, err := post(ctx, doors[0], "",
		`mutation ($e: String!, $p: String!) { signUp(input: {email: $e, password: $p}) { accessToken } }`,
		map[string]any{"e": name + "@example.com", "p": password})
	var data struct{ SignUp struct{ AccessToken string } }
	if err == nil && len(a.Errors) == 0 {
		err = json.Unmarshal(a.Data, &data)
	}
	if err != nil || data.SignUp.AccessToken == "" {
		return nil, fmt.Errorf("sign up: %w, %v", err, a.Errors)
	}
	return &user{name: name, token: data.SignUp.AccessToken, doors: doors, history: h}, nil
}

// any returns a random replica, running or not.
func (u *user) any(random *rand.Rand) door { return u.doors[random.IntN(len(u.doors))] }

// outcomeOf says what a client may conclude from an answer. UNAVAILABLE and
// INTERNAL promise nothing: the database may have gone in the middle of a commit.
func outcomeOf(a answer, err error) (outcome, string) {
	switch code := a.code(); {
	case err != nil:
		return unknown, ""
	case len(a.Errors) == 0:
		return ok, ""
	case code == "UNAVAILABLE", code == "INTERNAL", code == "":
		return unknown, code
	default:
		return refused, code
	}
}

// ask sends one operation and completes its record, which the caller adds.
func (u *user) ask(ctx context.Context, on door, r *record, query string, variables map[string]any, data any) {
	r.User, r.Replica, r.From = u.name, on.name, u.history.now()
	a, err := post(ctx, on, u.token, query, variables)
	r.Outcome, r.Code = outcomeOf(a, err)
	r.Canaries = a.canaries
	switch {
	case err != nil:
		r.Note = err.Error()
	case len(a.Errors) > 0:
		r.Note = a.Errors[0].Message
	default:
		if err := json.Unmarshal(a.Data, data); err != nil {
			r.Outcome, r.Note = unknown, err.Error()
		}
	}
}

// sent is what sendMessage answers.
type sent struct {
	Deduplicated bool
	Conversation struct{ ID string }
	UserMessage  struct{ ID string }
	Reply        struct{ ID, Status string }
}

// sending is one message on its way, which may take several sends.
type sending struct {
	question     question
	conversation string // Empty: a new one.
	onBusy       string // Empty: the default.
}

// send sends once and returns the record it has added.
func (u *user) send(ctx context.Context, who string, on door, s sending) record {
	r := record{Op: opSend, Who: who, Key: s.question.Key, Content: s.question.String()}
	input := map[string]any{"content": r.Content, "clientKey": r.Key}
	if s.conversation != "" {
		input["conversationId"] = s.conversation
	}
	if s.onBusy != "" {
		input["onBusy"] = s.onBusy
	}
	var data struct{ SendMessage sent }
	u.ask(ctx, on, &r, `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
		deduplicated conversation { id } userMessage { id } reply { id status } } }`, map[string]any{"input": input}, &data)
	if r.Outcome == ok {
		got := data.SendMessage
		r.Conversation, r.Message, r.Reply, r.Deduplicated = got.Conversation.ID, got.UserMessage.ID, got.Reply.ID,
			got.Deduplicated
	} else {
		r.Conversation = s.conversation
	}
	u.history.add(r)
	return r
}

// stop asks once for a reply to be stopped.
func (u *user) stop(ctx context.Context, who string, on door, reply string) record {
	r := record{Op: opStop, Who: who, Reply: reply}
	var data struct {
		StopReply struct{ Message struct{ Status string } }
	}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id status } } }`,
		map[string]any{"id": reply}, &data)
	if r.Outcome == ok {
		r.Note = data.StopReply.Message.Status
	}
	u.history.add(r)
	return r
}

// stopAnywhere asks one replica after the other until there is an answer.
func (u *user) stopAnywhere(ctx context.Context, random *rand.Rand, reply string) error {
	for u.stop(ctx, "impatient", u.any(random), reply).Outcome == unknown {
		if !pause(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// remove deletes a conversation, with one try.
func (u *user) remove(ctx context.Context, who string, on door, conversation string) record {
	r := record{Op: opDelete, Who: who, Conversation: conversation}
	u.ask(ctx, on, &r, `mutation ($id: ID!) { deleteConversation(input: {conversationId: $id}) { __typename } }`,
		map[string]any{"id": conversation}, new(any))
	u.history.add(r)
	return r
}

// probe asks for another user's reply, in every way, and records what came of it.
func (u *user) probe(ctx context.Context, who string, on door, reply string) {
	var node struct{ Node *struct{ ID, Content string } }
	r := record{Op: opProbe, Who: who, Reply: reply}
	u.ask(ctx, on, &r, `query ($id: ID!) { node(id: $id) { ... on Message { id content } } }`,
		map[string]any{"id": reply}, &node)
	if r.Outcome == ok && node.Node == nil {
		r.Outcome = refused // Nothing there that this user may see, as it should be.
	}
	u.history.add(r)

	stop := record{Op: opProbe, Who: who, Reply: reply}
	u.ask(ctx, on, &stop, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id content } } }`,
		map[string]any{"id": reply}, new(any))
	u.history.add(stop)

	follow := record{Op: opProbe, Who: who, Reply: reply, User: u.name, Replica: on.name, From: u.history.now(),
		Outcome: unknown}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	_ = subscribe(ctx, on, false, u.token, messageEvents(false), map[string]any{"id": reply}, func(a answer) error {
		follow.Outcome, follow.Code = outcomeOf(a, nil)
		follow.Canaries = append(follow.Canaries, a.canaries...)
		return errLeft
	}) // How it ended is in the record.
	u.history.add(follow)
}

// readAll reads every message of a conversation through a replica into the history.
func (u *user) readAll(ctx context.Context, on door, conversation string) error {
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
		var r record
		u.ask(ctx, on, &r, `query ($id: ID!, $after: String) { conversation(id: $id) { messages(first: 50, after: $after) {
			nodes { id role content status index attempt parent { id } } pageInfo { hasNextPage endCursor } } } }`,
			map[string]any{"id": conversation, "after": cursor}, &data)
		if r.Outcome != ok {
			return fmt.Errorf("final read through %s: %s %s", on.name, r.Code, r.Note)
		}
		if data.Conversation == nil {
			return nil // Deleted; whether it should be is for the checker.
		}
		page := data.Conversation.Messages
		for _, n := range page.Nodes {
			m := &row{ID: n.ID, Conversation: conversation, User: u.name, Index: n.Index, Active: true, Role: n.Role,
				Content: n.Content, Status: n.Status, Attempt: n.Attempt}
			if n.Parent != nil {
				m.Parent = n.Parent.ID
			}
			u.history.add(record{Op: opRead, User: u.name, Replica: on.name, Conversation: conversation,
				Canaries: r.Canaries, Row: m})
		}
		if !page.PageInfo.HasNextPage {
			return nil
		}
		cursor = page.PageInfo.EndCursor
	}
}
