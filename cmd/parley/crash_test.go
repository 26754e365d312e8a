package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/upstream/upstreamtest"
)

// acknowledged is a send whose answer has arrived.
type acknowledged struct {
	content string
	sent    sent
}

// sender sends to one conversation, one message after another, until the server is
// gone.
type sender struct {
	acked []acknowledged
	// open is the send that got no answer: nobody knows whether it is stored.
	open map[string]any
}

// maxSends keeps a conversation on one page.
const maxSends = 45

func (s *sender) run(t *testing.T, i *instance, token, name string) {
	for n := range maxSends {
		input := map[string]any{"content": fmt.Sprintf("%s message %d", name, n),
			"clientKey": fmt.Sprintf("%s-key-%d", name, n), "wait": true}
		if n > 0 {
			input["conversationId"] = s.acked[0].sent.Conversation.ID
		}
		got, err := i.send(t.Context(), token, input)
		if err != nil {
			s.open = input
			return
		}
		s.acked = append(s.acked, acknowledged{input["content"].(string), got})
	}
}

// TestKill kills a server on SQLite at random moments while messages are sent, and
// looks after each restart whether it has kept its word.
func TestKill(t *testing.T) {
	t.Parallel()
	const rounds, senders = 20, 4
	_, baseURL := upstreamtest.Start(t)
	dir := t.TempDir()
	environ := []string{
		"PARLEY_ADDR=127.0.0.1:0", "PARLEY_DATA_DIR=" + dir, "OPENAI_BASE_URL=" + baseURL,
		"PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000",
	}
	i := startProcess(t, environ...)
	token := i.signUp(t, "ada@example.com").AccessToken
	var all []*sender
	acked, fresh := 0, 0
	for round := range rounds {
		now := make([]*sender, senders)
		var running sync.WaitGroup
		for n := range now {
			now[n] = &sender{}
			running.Go(func() { now[n].run(t, i, token, fmt.Sprintf("r%d-s%d", round, n)) })
		}
		// The moment is what the test is about; nothing waits for it.
		timer := time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { _ = i.process.Kill() })
		running.Wait()
		timer.Stop()
		i.kill()
		if round%5 == 0 {
			checkIntegrity(t, dir)
		}

		i = startProcess(t, environ...)
		for _, s := range now {
			if s.open != nil {
				got := i.mustSend(t, token, s.open)
				if !got.Deduplicated {
					fresh++
				}
				s.acked = append(s.acked, acknowledged{s.open["content"].(string), got})
			}
			acked += len(s.acked)
			checkKept(t, i, token, s)
		}
		all = append(all, now...)
		if t.Failed() {
			t.Fatalf("round %d:\n%s", round, i.out.String())
		}
	}
	// Whatever was kept then is still there, and the same keys give the same pairs.
	for _, s := range all {
		checkKept(t, i, token, s)
	}
	i.stop(t)
	checkIntegrity(t, dir)
	t.Logf("%d sends acknowledged over %d kills; %d of the repeats after a kill were stored for the first time", acked,
		rounds, fresh)
	if acked < rounds {
		t.Errorf("only %d sends were acknowledged: the kills came too early to prove anything", acked)
	}
}

// checkKept compares a conversation with what its sender was told.
func checkKept(t *testing.T, i *instance, token string, s *sender) {
	t.Helper()
	if len(s.acked) == 0 {
		return
	}
	var data struct {
		Conversation *struct {
			Messages struct {
				Nodes []struct {
					ID, Role, Content, Status string
					Index                     int
				}
			}
		}
	}
	id := s.acked[0].sent.Conversation.ID
	i.into(t, token, `query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id role content status index } } } }`,
		map[string]any{"id": id}, &data)
	if data.Conversation == nil {
		t.Errorf("conversation %s of an acknowledged send is gone", id)
		return
	}
	nodes := data.Conversation.Messages.Nodes
	if len(nodes) != 2*len(s.acked) {
		t.Errorf("conversation %s has %d messages, want %d: %+v", id, len(nodes), 2*len(s.acked), nodes)
		return
	}
	for n, a := range s.acked {
		user, reply := nodes[2*n], nodes[2*n+1]
		if user.ID != a.sent.UserMessage.ID || reply.ID != a.sent.Reply.ID || user.Index != 2*n+1 ||
			reply.Index != 2*n+2 {
			t.Errorf("send %d of conversation %s is stored as %+v and %+v, want the acknowledged ids %s and %s",
				n, id, user, reply, a.sent.UserMessage.ID, a.sent.Reply.ID)
		}
		if user.Role != "USER" || user.Content != a.content || reply.Role != "ASSISTANT" ||
			reply.Content != "You said: "+a.content || reply.Status != "COMPLETED" {
			t.Errorf("send %d of conversation %s is stored as %+v and %+v, want %q and its whole reply", n, id, user,
				reply, a.content)
		}
	}
}

// checkIntegrity looks at the database itself while no server runs.
func checkIntegrity(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+store.SQLitePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // Only read.
	for query, want := range map[string]string{
		"PRAGMA integrity_check":                        "ok",
		"SELECT count(*) FROM pragma_foreign_key_check": "0",
		// The line of a conversation is 0, 1, 2, … without a hole.
		"SELECT count(*) FROM (SELECT 1 FROM messages WHERE active GROUP BY conversation_id HAVING min(`index`) <> 0 OR max(`index`) <> count(*) - 1)": "0",
		// Question and answer are there both or neither, and so is the record of the send.
		"SELECT count(*) FROM messages u WHERE role = 'USER' AND (SELECT count(*) FROM messages r WHERE r.parent_id = u.id AND r.role = 'ASSISTANT' AND r.`index` = u.`index` + 1) <> 1":                         "0",
		"SELECT count(*) FROM messages r WHERE role = 'ASSISTANT' AND (SELECT count(*) FROM sends s WHERE s.reply_id = r.id AND s.user_message_id = r.parent_id AND s.conversation_id = r.conversation_id) <> 1": "0",
		"SELECT count(*) FROM conversations c WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = c.head_id AND m.conversation_id = c.id AND m.active)":                                                      "0",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil {
			t.Errorf("%s: %v", query, err)
		} else if strings.TrimSpace(got) != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}
