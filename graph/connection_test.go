package graph_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/pid"
)

const (
	listConversations = `query($first: Int, $after: String, $last: Int, $before: String, $archived: Boolean, $pinned: Boolean) {
		list: conversations(first: $first, after: $after, last: $last, before: $before, archived: $archived, pinned: $pinned) {
			totalCount nodes { id } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
	listMessages = `query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
		conversation(id: $id) { list: messages(first: $first, after: $after, last: $last, before: $before) {
			totalCount nodes { id } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`
)

// list is one of the two lists, already filled, under one kind of request.
type list struct {
	name     string
	document string
	fixed    vars
	path     string
	ids      []string // in the list's order
	foreign  []string // cursors of other lists
}

// page is one request for a page.
func (l list) page(b *bundle, p person, args vars) answer {
	b.t.Helper()
	v := vars{}
	for k, x := range l.fixed {
		v[k] = x
	}
	for k, x := range args {
		v[k] = x
	}
	return b.post(p, l.document, v)
}

// fill makes 105 conversations, one of which has 106 messages.
func fill(b *bundle, p person) []list {
	b.t.Helper()
	ctx := b.as(p)
	var ids []string
	for range 104 {
		c, err := b.chat.CreateConversation(ctx, p.id, chat.NewConversation{})
		if err != nil {
			b.t.Fatal(err)
		}
		ids = append(ids, string(c.ID))
	}
	var id *pid.ID
	var messages []string
	for range 53 {
		s, err := b.chat.SendMessage(ctx, p.id, chat.SendInput{ConversationID: id, Content: "hello", Wait: true})
		if err != nil {
			b.t.Fatal(err)
		}
		id = &s.Conversation.ID
		messages = append(messages, string(s.UserMessage.ID), string(s.Reply.ID))
	}
	ids = append(ids, string(*id))
	slices.Reverse(ids)
	conversations := list{name: "conversations", document: listConversations, path: "list", ids: ids}
	ofMessages := list{name: "messages", document: listMessages, fixed: vars{"id": *id}, path: "conversation.list",
		ids: messages}
	conversations.foreign = []string{fmt.Sprint(ofMessages.page(b, p, nil).at("conversation.list.pageInfo.endCursor"))}
	ofMessages.foreign = []string{fmt.Sprint(conversations.page(b, p, nil).at("list.pageInfo.endCursor"))}
	return []list{conversations, ofMessages}
}

func TestPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		for _, l := range fill(b, ada) {
			testSizes(t, b, ada, l)
			testWalk(t, b, ada, l, "first", "after", "endCursor", "hasNextPage", "hasPreviousPage")
			testWalk(t, b, ada, l, "last", "before", "startCursor", "hasPreviousPage", "hasNextPage")
			testCursors(t, b, ada, l)
		}
	})
}

func testSizes(t *testing.T, b *bundle, p person, l list) {
	n := len(l.ids)
	for _, c := range []struct {
		args     vars
		from, to int // -1: refused
	}{
		{vars{}, 0, 20},
		{vars{"first": nil}, 0, 20},
		{vars{"first": 0}, 0, 0},
		{vars{"first": 1}, 0, 1},
		{vars{"first": 100}, 0, 100},
		{vars{"last": 0}, 0, 0},
		{vars{"last": 1}, n - 1, n},
		{vars{"last": 100}, n - 100, n},
		{vars{"first": 101}, -1, 0},
		{vars{"last": 101}, -1, 0},
		{vars{"first": -1}, -1, 0},
		{vars{"last": -1}, -1, 0},
		{vars{"first": -100}, -1, 0},
		{vars{"first": 1 << 30}, -1, 0},
		{vars{"first": 1, "last": 1}, -1, 0},
		{vars{"first": 0, "last": 0}, -1, 0},
	} {
		a := l.page(b, p, c.args)
		if c.from < 0 {
			if a.code() != "BAD_USER_INPUT" {
				t.Errorf("%s(%v): got %.200s, want BAD_USER_INPUT", l.name, c.args, a.raw)
			} else if _, ok := a.Errors[0].Extensions["fields"].(map[string]any); !ok {
				t.Errorf("%s(%v): got %s, want the fields at fault", l.name, c.args, a.raw)
			}
			continue
		}
		got := texts(a.at(l.path+".nodes"), "id")
		if want := l.ids[c.from:c.to]; !slices.Equal(got, want) {
			t.Errorf("%s(%v): got %d entries %v, want %d: %v", l.name, c.args, len(got), got, len(want), want)
		}
		if edges := texts(a.at(l.path+".edges"), "node.id"); !slices.Equal(edges, got) {
			t.Errorf("%s(%v): the edges are not the nodes", l.name, c.args)
		}
		if total := a.at(l.path + ".totalCount"); total != float64(n) {
			t.Errorf("%s(%v): totalCount is %v, want %d", l.name, c.args, total, n)
		}
		if len(got) == 0 && (a.at(l.path+".pageInfo.startCursor") != nil || a.at(l.path+".pageInfo.endCursor") != nil) {
			t.Errorf("%s(%v): an empty page has cursors", l.name, c.args)
		}
	}
}

// testWalk pages through the whole list in one direction.
func testWalk(t *testing.T, b *bundle, p person, l list, size, cursorArg, next, more, back string) {
	for _, n := range []int{17, 35, 100} {
		var got []string
		args := vars{size: n}
		for range 20 {
			a := l.page(b, p, args)
			page := texts(a.at(l.path+".nodes"), "id")
			if size == "first" {
				got = append(got, page...)
			} else {
				got = append(slices.Clone(page), got...)
			}
			_, inner := args[cursorArg]
			if back := a.at(l.path + ".pageInfo." + back); back != inner {
				t.Errorf("%s(%v): pages behind us: %v, want %v", l.name, args, back, inner)
			}
			if a.at(l.path+".pageInfo."+more) != true {
				break
			}
			args[cursorArg] = a.at(l.path + ".pageInfo." + next)
		}
		if diff := cmp.Diff(l.ids, got); diff != "" {
			t.Errorf("%s by %d with %s: (-want +got)\n%s", l.name, n, size, diff)
		}
	}
	// Between two cursors, from either end.
	a := l.page(b, p, vars{"first": 40})
	cursors := texts(a.at(l.path+".edges"), "cursor")
	got := texts(l.page(b, p, vars{"after": cursors[4], "before": cursors[30], size: 100}).at(l.path+".nodes"), "id")
	if !slices.Equal(got, l.ids[5:30]) {
		t.Errorf("%s between two cursors with %s: got %d entries, want 25", l.name, size, len(got))
	}
}

func testCursors(t *testing.T, b *bundle, p person, l list) {
	for _, cursor := range append([]string{
		"", "x", "!!", "bTEg", "bTEgLTE", "YzEg", "YzEgMSA", "bTEgeA", strings.Repeat("A", 9000),
		string(pid.New(pid.Message)), "\u0000",
	}, l.foreign...) {
		for _, arg := range []string{"after", "before"} {
			a := l.page(b, p, vars{arg: cursor})
			if a.code() != "BAD_USER_INPUT" || at(a.Errors[0].Extensions, "fields."+arg) == nil {
				t.Errorf("%s(%s: %.40q): got %.300s, want BAD_USER_INPUT about %s", l.name, arg, cursor, a.raw, arg)
			}
		}
	}
}

// Cursors that we might have made, but did not, are no fault of ours either.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		c := b.conversation(ada, vars{})
		for _, micros := range []string{"-9223372036854775808", "9223372036854775807", "-210866803200000001", "0"} {
			cursor := base64.RawURLEncoding.EncodeToString([]byte("c1 " + micros + " " + string(c)))
			if code := b.post(ada, listConversations, vars{"after": cursor}).code(); code != "" &&
				code != "BAD_USER_INPUT" {
				t.Errorf("the time %s: got code %q, want a page or BAD_USER_INPUT", micros, code)
			}
		}
		for _, index := range []string{"9223372036854775807", "2147483648"} {
			cursor := base64.RawURLEncoding.EncodeToString([]byte("m1 " + index))
			if code := b.post(ada, listMessages, vars{"id": c, "after": cursor}).code(); code != "" &&
				code != "BAD_USER_INPUT" {
				t.Errorf("the index %s: got code %q, want a page or BAD_USER_INPUT", index, code)
			}
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	ids := make(map[string]string)
	for _, name := range []string{"plain", "pinned", "archived", "both"} {
		id := b.conversation(ada, vars{"name": name})
		b.ask(ada, `mutation($input: UpdateConversationInput!) { updateConversation(input: $input) { conversation { id } } }`,
			vars{"input": vars{"conversationId": id, "pinned": name == "pinned" ||
				name == "both", "archived": name == "archived" || name == "both"}})
		ids[string(id)] = name
	}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"pinned", "plain"}},
		{"(archived: false)", []string{"pinned", "plain"}},
		{"(archived: true)", []string{"archived", "both"}},
		{"(archived: null)", []string{"archived", "both", "pinned", "plain"}},
		{"(pinned: true)", []string{"pinned"}},
		{"(pinned: true, archived: null)", []string{"both", "pinned"}},
		{"(pinned: false, archived: null)", []string{"archived", "plain"}},
		{"(pinned: true, archived: true)", []string{"both"}},
	} {
		a := b.ask(ada, `{ conversations`+c.args+` { totalCount nodes { id } } viewer { conversations`+c.args+
			` { totalCount nodes { id } } } }`, nil)
		for _, path := range []string{"conversations", "viewer.conversations"} {
			var got []string
			for _, id := range texts(a.at(path+".nodes"), "id") {
				got = append(got, ids[id])
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) || a.at(path+".totalCount") != float64(len(c.want)) {
				t.Errorf("%s%s: got %v of %v, want %v", path, c.args, got, a.at(path+".totalCount"), c.want)
			}
		}
	}
}

// Ten parents cost as many statements as two, and counting happens only when
// totalCount is selected.
func TestStatementsPerList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		for i := range 10 {
			id := b.conversation(ada, vars{"systemPrompt": fmt.Sprint("Speak like number ", i)})
			for range 2 {
				b.send(ada, id, "hello", vars{"wait": true})
			}
		}
		statements := func(selection string, first int) int {
			t.Helper()
			before := b.faults.count(ada.id)
			sub := b.subscribe(ada, fmt.Sprintf(`{ conversations(first: %d) { %s } }`, first, selection), nil)
			a := sub.event(t)
			if n := len(texts(a.at("conversations.nodes"), "id")); n != first {
				t.Fatalf("got %d conversations, want %d", n, first)
			}
			return b.faults.count(ada.id) - before
		}
		for _, c := range []struct {
			selection string
			want      int
		}{
			{`nodes { id name }`, 1},
			{`totalCount nodes { id }`, 2},
			{`nodes { id systemPrompt }`, 2},
			{`nodes { id runningReply { id } }`, 2},
			{`nodes { id user { id } }`, 2},
			{`nodes { id messages { nodes { id } } }`, 2},
			{`nodes { id messages { pageInfo { hasNextPage } nodes { id } } }`, 2},
			{`nodes { id messages(last: 3) { totalCount nodes { id } } }`, 3},
			{`nodes { id messages { nodes { id parent { id } conversation { id } } } }`, 4},
			{`edges { node { id messages { edges { node { id parent { id } conversation { id } } } } } } nodes { id }`, 4},
			{`nodes { id messages(first: 2) { nodes { id } } more: messages(last: 2) { nodes { id } } }`, 3},
			{`nodes { id messages(first: 2) { nodes { parent { id } } } more: messages(last: 2) { nodes { parent { parent { id } } } } }`, 5},
			{`nodes { ... on Node { ... on Conversation { user { id } } } user { email } ... @skip(if: true) { systemPrompt } }`, 2},
			{`nodes { id systemPrompt runningReply { id } user { id } messages(last: 4) { totalCount nodes { id parent { id } conversation { id user { id } } } } }`, 9},
			{`nodes { messages { nodes { conversation { messages(last: 1) { nodes { conversation { systemPrompt } } } } } } }`, 6},
		} {
			if two, ten := statements(c.selection, 2), statements(c.selection, 10); two != c.want || ten != c.want {
				t.Errorf("{ %s }: %d statements for 2, %d for 10, want %d for both", c.selection, two, ten, c.want)
			}
		}
	})
}

// Batches of one list with different arguments do not get in each other's way.
func TestAliasedPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		ada := b.signUp("ada")
		var pairs []sent
		for range 3 {
			s := b.send(ada, "", "one", vars{"wait": true})
			b.send(ada, s.conversation, "two", vars{"wait": true})
			pairs = append(pairs, s)
		}
		a := b.ask(ada, `query { conversations { nodes { id head: messages(first: 1) { nodes { id } } tail: messages(last: 1) { nodes { index } } none: messages(first: 0) { nodes { id } } all: messages { totalCount nodes { index } } } } }`, nil)
		for i := range pairs {
			s := pairs[len(pairs)-1-i]
			at := fmt.Sprintf("conversations.nodes.%d.", i)
			if got := a.id(at + "id"); got != s.conversation {
				// Two of one microsecond sort by id.
				t.Fatalf("conversation %d is %s, want %s", i, got, s.conversation)
			}
			if got := a.id(at + "head.nodes.0.id"); got != s.user {
				t.Errorf("the first message is %s, want %s", got, s.user)
			}
			if got := a.at(at + "tail.nodes.0.index"); got != float64(4) {
				t.Errorf("the last message has index %v, want 4", got)
			}
			if got := texts(a.at(at+"all.nodes"), "index"); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
				t.Errorf("all messages are %v, want 1 to 4", got)
			}
			if got := texts(a.at(at+"none.nodes"), "id"); len(got) != 0 {
				t.Errorf("first: 0 gives %v", got)
			}
		}
	})
}
