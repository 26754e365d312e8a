package graph_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/send"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// blip is a server whose connections to Postgres break.
type blip struct {
	*bundle
	proxy *storetest.Proxy
	// direct is the same database, without the proxy between.
	direct *ent.Client
	who    person
}

func newBlip(t *testing.T) *blip {
	t.Helper()
	cfg := storetest.PostgresConfig(t)
	proxy, through := storetest.NewProxy(t, cfg)
	through.MaxConns = 16 // A quarter of them are kept open.
	open := func(cfg store.Config) *store.Store {
		s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() }) // Its connections are broken.
		return s
	}
	b := &blip{proxy: proxy, direct: open(cfg).Client()}
	b.bundle = setup(t, open(through), options{})
	b.who = b.signUp("ada")
	return b
}

// places are where a conversation with Postgres is cut: at each byte of a message's
// header, and in and behind its body, whose bytes are all alike.
func places(spoken storetest.Spoken) []storetest.Place {
	var all []storetest.Place
	for _, direction := range []struct {
		fromServer bool
		messages   []int
	}{{false, spoken.Client}, {true, spoken.Server}} {
		for i, size := range direction.messages {
			at := []int{0, 1, 3, 5, size / 2, size - 1}
			slices.Sort(at)
			for _, n := range slices.Compact(at) {
				if n < size {
					all = append(all, storetest.Place{FromServer: direction.fromServer, Message: i, Byte: n})
				}
			}
		}
	}
	return all
}

// story is something a user does. begin makes what it needs, undisturbed, and returns the
// operation and a check of what has become of it once it was not refused.
type story struct {
	name  string
	lanes int // among which its places are dealt out
	// every is how far apart the places are that are tried: no message is left out. It
	// shares no factor with the kinds of places and of breaks.
	every int
	begin func(b *blip, n int) (document string, v vars, check func(t *testing.T))
}

func stories() []story {
	return []story{
		{"send", 4, 5, sending},
		{"rename", 1, 5, func(b *blip, n int) (string, vars, func(*testing.T)) {
			id, name := b.conversation(b.who, vars{}), fmt.Sprint("name ", n)
			return `mutation($id: ID!, $name: String!) { updateConversation(input: {conversationId: $id, name: $name}) {
				conversation { name } } }`, vars{"id": id, "name": name}, func(t *testing.T) {
					c := b.direct.Conversation.Query().Where(conversation.ID(id)).OnlyX(b.as(b.who))
					if c.Name != name {
						t.Errorf("the name is %q, want %q", c.Name, name)
					}
				}
		}},
		{"delete", 1, 5, func(b *blip, _ int) (string, vars, func(*testing.T)) {
			id := b.send(b.who, "", "to be deleted", vars{"wait": true}).conversation
			return `mutation($id: ID!) { deleteConversation(input: {conversationId: $id}) { __typename } }`, vars{"id": id},
				func(t *testing.T) {
					if b.direct.Message.Query().Where(message.ConversationID(id)).ExistX(b.as(b.who)) {
						t.Error("messages are left")
					}
				}
		}},
		{"stop", 2, 7, func(b *blip, _ int) (string, vars, func(*testing.T)) {
			s, script := b.start(b.who, "")
			script.say(b.t, "half ")
			return `mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { status } } }`, vars{"id": s.reply},
				func(t *testing.T) { b.ends(t, s.reply, message.StatusSTOPPED, "half ") }
		}},
		{"conversationEvents", 1, 5, func(b *blip, _ int) (string, vars, func(*testing.T)) {
			id := b.conversation(b.who, vars{})
			return `subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename } }`, vars{"id": id},
				func(*testing.T) {}
		}},
		{"viewerEvents", 1, 7, func(*blip, int) (string, vars, func(*testing.T)) {
			return `subscription { viewerEvents { __typename } }`, vars{}, func(*testing.T) {}
		}},
		{"messageEvents", 1, 7, func(b *blip, _ int) (string, vars, func(*testing.T)) {
			id := b.send(b.who, "", "to be watched", vars{"wait": true}).reply
			return `subscription($id: ID!) { messageEvents(messageId: $id) { __typename } }`, vars{"id": id},
				func(*testing.T) {}
		}},
	}
}

// sending has a pair stored once and its reply written, however often it was sent.
func sending(b *blip, n int) (string, vars, func(t *testing.T)) {
	id, key := b.conversation(b.who, vars{}), fmt.Sprintf("key-%08d", n)
	input := vars{"conversationId": id, "content": "hello", "clientKey": key}
	return sendDocument, vars{"input": input}, func(t *testing.T) {
		as := b.as(b.who)
		row := b.direct.Send.Query().Where(send.ClientKey(key), send.UserID(b.who.id)).OnlyX(as)
		b.ends(t, row.ReplyID, message.StatusCOMPLETED, "You said: hello")
		line := b.direct.Message.Query().Where(message.ConversationID(id)).CountX(as)
		if line != 3 {
			t.Errorf("the conversation has %d messages, want message 0 and the pair", line)
		}
	}
}

// ends waits for the end of a reply.
func (b *blip) ends(t *testing.T, id pid.ID, status message.Status, content string) {
	t.Helper()
	var m *ent.Message
	eventually(t, "the end of the reply", func() bool {
		m = b.direct.Message.Query().Where(message.ID(id)).OnlyX(b.as(b.who))
		return m.FinishedAt != nil
	})
	if m.Status != status || m.Content != content {
		t.Errorf("the reply ended %s (%v), %q, want %s, %q", m.Status, m.ErrorCode, m.Content, status, content)
	}
}

// play does what a story tells until it is done. Each refusal on the way must say that it
// may be tried again. What a deletion has done is not there any more.
func (b *blip) play(t *testing.T, s story, document string, v vars) {
	t.Helper()
	refusals := 0
	eventually(t, s.name, func() bool {
		a, err := b.tryPost(t.Context(), b.who, document, v)
		if err != nil {
			t.Fatal(err)
		}
		switch code := a.code(); {
		case code == "" || code == "NOT_FOUND" && s.name == "delete" && refusals > 0:
			return true
		case code != "UNAVAILABLE":
			t.Errorf("got %s, want UNAVAILABLE or success", a.raw)
			return true
		}
		refusals++
		return false
	})
}

// ready makes what a story needs. Where there are lanes, the first one has to connect anew,
// and those from the third on use statements that are prepared.
func (b *blip) ready(t *testing.T, s story, lane, n int) (document string, v vars, check func(t *testing.T)) {
	t.Helper()
	const variants, often = 10, 3
	if lane >= 2 {
		for i := range often {
			document, v, check = s.begin(b, n*variants+i)
			b.play(t, s, document, v)
			check(t)
		}
	}
	document, v, check = s.begin(b, n*variants+often)
	if lane == 0 && s.lanes > 1 {
		b.proxy.CutPool()
	}
	return document, v, check
}

// A connection to Postgres that breaks costs nobody anything but another try, wherever it
// breaks: callers get UNAVAILABLE at most, and replies are written.
func TestBlips(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		for lane := range s.lanes {
			t.Run(fmt.Sprint(s.name, " ", lane), func(t *testing.T) {
				t.Parallel()
				b := newBlip(t)
				ready := func(n int) (string, vars, func(*testing.T)) { return b.ready(t, s, lane, n) }
				var all []storetest.Place
				for n := range 3 { // Others may have spoken meanwhile: the shortest counts.
					document, v, check := ready(n)
					b.proxy.Listen()
					b.play(t, s, document, v)
					check(t)
					spoken, _ := b.proxy.Heard()
					if list := places(spoken); n == 0 || len(list) < len(all) {
						all = list
					}
				}
				cuts, tried := 0, 0
				for i := lane * s.every; i < len(all); i += s.lanes * s.every {
					tried++
					at, how := all[i], storetest.Break(i/s.every)%storetest.Breaks
					document, v, check := ready(i + 3)
					b.proxy.CutAt(at, how)
					b.play(t, s, document, v)
					check(t)
					if _, cut := b.proxy.Heard(); cut {
						cuts++
					}
					if t.Failed() {
						t.Fatalf("with %+v and the break %d", at, how)
					}
				}
				t.Logf("%d cuts of %d", cuts, tried)
				if cuts < tried/2 || tried == 0 {
					t.Errorf("only %d of %d places were come to", cuts, tried)
				}
			})
		}
	}
}
