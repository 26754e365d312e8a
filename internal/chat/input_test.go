package chat_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store/storetest"
)

// fields returns what a BAD_USER_INPUT complains about.
func fields(extras map[string]any) map[string]string {
	f, _ := extras["fields"].(map[string]string)
	return f
}

func TestSendInputs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxMessage)
	good := map[string]chat.SendInput{
		"longest content": {Content: long},
		"four-byte runes": {Content: strings.Repeat("🚀", maxMessage/4)},
		"control signs":   {Content: "\x01\x7f\u2028a\ufeff"},
		"blanks around":   {Content: " \n x \t"},
		"shortest key":    {Content: "x", ClientKey: ptr("abcd_-09")},
		"longest key":     {Content: "x", ClientKey: ptr(strings.Repeat("Z", 128))},
		"model":           {Content: "x", Model: ptr("other")},
		"empty model":     {Content: "x", Model: ptr("")},
	}
	bad := map[string]struct {
		in    chat.SendInput
		field string
	}{
		"no content":         {chat.SendInput{}, "content"},
		"blank content":      {chat.SendInput{Content: " \t\n\u00a0\u2003"}, "content"},
		"too long":           {chat.SendInput{Content: long + "x"}, "content"},
		"too long in bytes":  {chat.SendInput{Content: strings.Repeat("ä", maxMessage/2) + "x"}, "content"},
		"NUL":                {chat.SendInput{Content: "a\x00b"}, "content"},
		"invalid UTF-8":      {chat.SendInput{Content: "a\xffb"}, "content"},
		"surrogate":          {chat.SendInput{Content: "a\xed\xa0\x80b"}, "content"},
		"cut rune":           {chat.SendInput{Content: "a\xf0\x9f\x9a"}, "content"},
		"short key":          {chat.SendInput{Content: "x", ClientKey: ptr("abcdefg")}, "clientKey"},
		"long key":           {chat.SendInput{Content: "x", ClientKey: ptr(strings.Repeat("Z", 129))}, "clientKey"},
		"empty key":          {chat.SendInput{Content: "x", ClientKey: ptr("")}, "clientKey"},
		"key with a blank":   {chat.SendInput{Content: "x", ClientKey: ptr("abcd efgh")}, "clientKey"},
		"key with a newline": {chat.SendInput{Content: "x", ClientKey: ptr("abcdefgh\n")}, "clientKey"},
		"key with ä":         {chat.SendInput{Content: "x", ClientKey: ptr("abcdefghä")}, "clientKey"},
		"unknown model":      {chat.SendInput{Content: "x", Model: ptr("tes")}, "model"},
		"model with NUL":     {chat.SendInput{Content: "x", Model: ptr("test\x00")}, "model"},
		"long model":         {chat.SendInput{Content: "x", Model: ptr(strings.Repeat("m", 201))}, "model"},
		"parameters": {chat.SendInput{Content: "x", Parameters: &reply.Parameters{Temperature: ptr(2.1)}},
			"parameters.temperature"},
	}
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for name, in := range good {
			in.Wait = true
			r, err := b.SendMessage(u.ctx, u.id, in)
			if err != nil || r.UserMessage.Content != in.Content || b.row(t, u, r.UserMessage.ID).
				Content != in.Content {
				t.Errorf("%s: got %v, want it stored as it is", name, err)
			}
		}
		for name, c := range bad {
			extras := b.unchanged(t, refusal.CodeBadUserInput, func() error {
				_, err := b.SendMessage(u.ctx, u.id, c.in)
				return err
			})
			if got := fields(extras); len(got) != 1 || got[c.field] == "" {
				t.Errorf("%s: got problems %v, want one of %s", name, got, c.field)
			}
		}
		extras := b.unchanged(t, refusal.CodeBadUserInput, func() error {
			_, err := b.SendMessage(u.ctx, u.id,
				chat.SendInput{ClientKey: ptr(""), Parameters: &reply.Parameters{TopP: ptr(-1.0), MaxTokens: ptr(0)}})
			return err
		})
		if got := fields(extras); len(got) != 4 {
			t.Errorf("got problems %v, want all four", got)
		}
	})
}

func TestParameters(t *testing.T) {
	t.Parallel()
	schema := func(name, schema string) *reply.ResponseFormat {
		return &reply.ResponseFormat{Type: reply.FormatJSONSchema, Name: name, Schema: schema}
	}
	good := map[string]reply.Parameters{
		"none": {},
		"lowest": {Temperature: ptr(0.0), TopP: ptr(0.0), MaxTokens: ptr(1), Seed: ptr(math.MinInt),
			PresencePenalty: ptr(-2.0), FrequencyPenalty: ptr(-2.0)},
		"highest": {Temperature: ptr(2.0), TopP: ptr(1.0), MaxTokens: ptr(1 << 20), Seed: ptr(math.MaxInt),
			PresencePenalty: ptr(2.0), FrequencyPenalty: ptr(2.0)},
		"efforts":     {ReasoningEffort: reply.EffortNone, Verbosity: reply.VerbosityHigh},
		"stop":        {Stop: []string{"a", "\n", "ä", strings.Repeat("x", chat.MaxStopBytes)}},
		"text":        {ResponseFormat: &reply.ResponseFormat{Type: reply.FormatText}},
		"JSON":        {ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONObject}},
		"JSON schema": {ResponseFormat: schema(strings.Repeat("n", 64), `{"type":"object"}`)},
		"long schema": {ResponseFormat: schema("n", `{"x":"`+strings.Repeat("x", chat.MaxSchemaBytes-8)+`"}`)},
	}
	bad := map[string]struct {
		p     reply.Parameters
		field string
	}{
		"cold":            {reply.Parameters{Temperature: ptr(-0.01)}, "temperature"},
		"hot":             {reply.Parameters{Temperature: ptr(2.01)}, "temperature"},
		"not a number":    {reply.Parameters{Temperature: ptr(math.NaN())}, "temperature"},
		"infinite":        {reply.Parameters{TopP: ptr(math.Inf(1))}, "topP"},
		"top p":           {reply.Parameters{TopP: ptr(1.01)}, "topP"},
		"presence":        {reply.Parameters{PresencePenalty: ptr(-2.01)}, "presencePenalty"},
		"frequency":       {reply.Parameters{FrequencyPenalty: ptr(2.01)}, "frequencyPenalty"},
		"no tokens":       {reply.Parameters{MaxTokens: ptr(0)}, "maxTokens"},
		"too many tokens": {reply.Parameters{MaxTokens: ptr(1<<20 + 1)}, "maxTokens"},
		"five stops":      {reply.Parameters{Stop: []string{"1", "2", "3", "4", "5"}}, "stop"},
		"empty stop":      {reply.Parameters{Stop: []string{""}}, "stop"},
		"long stop":       {reply.Parameters{Stop: []string{strings.Repeat("x", chat.MaxStopBytes+1)}}, "stop"},
		"stop with NUL":   {reply.Parameters{Stop: []string{"\x00"}}, "stop"},
		"unknown effort":  {reply.Parameters{ReasoningEffort: "SOME"}, "reasoningEffort"},
		"small effort":    {reply.Parameters{ReasoningEffort: "low"}, "reasoningEffort"},
		"unknown length":  {reply.Parameters{Verbosity: "NONE"}, "verbosity"},
		"unknown format":  {reply.Parameters{ResponseFormat: &reply.ResponseFormat{Type: "XML"}}, "responseFormat"},
		"no format":       {reply.Parameters{ResponseFormat: &reply.ResponseFormat{}}, "responseFormat"},
		"text with a schema": {reply.Parameters{ResponseFormat: &reply.ResponseFormat{Type: reply.FormatText,
			Schema: "{}"}}, "responseFormat"},
		"JSON with a name": {reply.Parameters{ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONObject,
			Name: "n"}}, "responseFormat"},
		"no schema name": {reply.Parameters{ResponseFormat: schema("", "{}")}, "responseFormat.name"},
		"long schema name": {reply.Parameters{ResponseFormat: schema(strings.Repeat("n", 65), "{}")},
			"responseFormat.name"},
		"odd schema name":  {reply.Parameters{ResponseFormat: schema("a b", "{}")}, "responseFormat.name"},
		"no schema":        {reply.Parameters{ResponseFormat: schema("n", "")}, "responseFormat.schema"},
		"broken schema":    {reply.Parameters{ResponseFormat: schema("n", `{"a":`)}, "responseFormat.schema"},
		"list as a schema": {reply.Parameters{ResponseFormat: schema("n", `[]`)}, "responseFormat.schema"},
		"null as a schema": {reply.Parameters{ResponseFormat: schema("n", `null`)}, "responseFormat.schema"},
		"too long schema": {reply.Parameters{ResponseFormat: schema("n",
			`{"x":"`+strings.Repeat("x", chat.MaxSchemaBytes)+`"}`)}, "responseFormat.schema"},
	}
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	for name, p := range good {
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Parameters: &p})
		if err != nil {
			t.Errorf("%s: %v, want it taken", name, err)
			continue
		}
		back, err := reply.DecodeParameters(c.Parameters)
		if err != nil || back.Encode() != p.Encode() {
			t.Errorf("%s: got %v, %v back, want %v", name, back, err, p)
		}
		b.ask(t, u, &c.ID, "hello")
	}
	for name, c := range bad {
		for _, try := range []func() error{
			func() error {
				_, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Parameters: &c.p})
				return err
			},
			func() error {
				_, err := b.UpdateConversation(u.ctx, u.id, pid.New(pid.Conversation),
					chat.ConversationPatch{Parameters: &c.p})
				return err
			},
			func() error {
				_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "x", Parameters: &c.p})
				return err
			},
		} {
			extras := b.unchanged(t, refusal.CodeBadUserInput, try)
			if got := fields(extras); len(got) != 1 || got["parameters."+c.field] == "" {
				t.Errorf("%s: got problems %v, want one of parameters.%s", name, got, c.field)
			}
		}
	}
}

func TestConversationInputs(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		existing, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			name, prompt, model string
			field               string // "" when it is taken
		}{
			"longest name":     {name: strings.Repeat("🚀", chat.MaxNameRunes)},
			"too long name":    {name: strings.Repeat("x", chat.MaxNameRunes+1), field: "name"},
			"name with NUL":    {name: "a\x00", field: "name"},
			"invalid name":     {name: "a\xff", field: "name"},
			"white name":       {name: " \t\u3000", field: "name"},
			"unseen name":      {name: "\u200b", field: "name"},
			"turning name":     {name: "\u202e\u2066", field: "name"},
			"longest prompt":   {prompt: strings.Repeat("x", maxSystem)},
			"too long prompt":  {prompt: strings.Repeat("x", maxSystem+1), field: "systemPrompt"},
			"prompt with NUL":  {prompt: "\x00", field: "systemPrompt"},
			"invalid prompt":   {prompt: "\xc3", field: "systemPrompt"},
			"known model":      {model: "other"},
			"unknown model":    {model: "gpt", field: "model"},
			"invalid model":    {model: "\xff", field: "model"},
			"too long a model": {model: strings.Repeat("m", chat.MaxModelBytes+1), field: "model"},
		} {
			for _, try := range []func() error{
				func() error {
					_, err := b.CreateConversation(u.ctx, u.id,
						chat.NewConversation{Name: &c.name, Model: &c.model, SystemPrompt: c.prompt})
					return err
				},
				func() error {
					_, err := b.UpdateConversation(u.ctx, u.id, existing.ID,
						chat.ConversationPatch{Name: &c.name, Model: &c.model, SystemPrompt: &c.prompt})
					return err
				},
			} {
				if c.field == "" {
					if err := try(); err != nil {
						t.Errorf("%s: %v, want it taken", name, err)
					}
					continue
				}
				extras := b.unchanged(t, refusal.CodeBadUserInput, try)
				if got := fields(extras); len(got) != 1 || got[c.field] == "" {
					t.Errorf("%s: got problems %v, want one of %s", name, got, c.field)
				}
			}
		}
	})
}

func TestPageInputs(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "hello")
		messageCursor, conversationCursor := chat.MessageCursor(1),
			chat.ConversationCursor(r.Conversation.LastMessageAt, r.Conversation.ID)
		raw := func(s string) *string { return ptr(chat.EncodeCursor(s)) }
		id := string(r.Conversation.ID)
		for name, c := range map[string]struct {
			args  chat.PageArgs
			lists string // which list it is wrong for: m, c or both
			field string
		}{
			"negative":       {args: chat.PageArgs{First: ptr(-1)}, lists: "mc", field: "first"},
			"too many":       {args: chat.PageArgs{Last: ptr(chat.MaxPage + 1)}, lists: "mc", field: "last"},
			"both ends":      {args: chat.PageArgs{First: ptr(1), Last: ptr(1)}, lists: "mc", field: "last"},
			"most":           {args: chat.PageArgs{First: ptr(chat.MaxPage)}},
			"none":           {args: chat.PageArgs{Last: ptr(0)}},
			"empty cursor":   {args: chat.PageArgs{After: ptr("")}, lists: "mc", field: "after"},
			"no base64":      {args: chat.PageArgs{Before: ptr("!")}, lists: "mc", field: "before"},
			"message's":      {args: chat.PageArgs{After: &messageCursor}, lists: "c", field: "after"},
			"conversation's": {args: chat.PageArgs{After: &conversationCursor}, lists: "m", field: "after"},
			"negative index": {args: chat.PageArgs{After: raw("m1 -1")}, lists: "mc", field: "after"},
			"huge index":     {args: chat.PageArgs{After: raw("m1 9223372036854775807")}, lists: "c", field: "after"},
			"too huge index": {args: chat.PageArgs{After: raw("m1 9223372036854775808")}, lists: "mc",
				field: "after"},
			"no id":       {args: chat.PageArgs{After: raw("c1 5 ")}, lists: "mc", field: "after"},
			"wrong id":    {args: chat.PageArgs{After: raw("c1 5 " + string(u.id))}, lists: "mc", field: "after"},
			"id with NUL": {args: chat.PageArgs{After: raw("c1 5 " + id + "\x00")}, lists: "mc", field: "after"},
			"far past": {args: chat.PageArgs{After: raw("c1 -9223372036854775808 " + id)}, lists: "mc",
				field: "after"},
			"far future": {args: chat.PageArgs{Before: raw("c1 9223372036854775807 " + id)}, lists: "mc",
				field: "before"},
			"before the epoch": {args: chat.PageArgs{After: raw("c1 -1 " + id)}, lists: "mc", field: "after"},
		} {
			_, listErr := b.ListMessages(u.ctx, u.id, []pid.ID{r.Conversation.ID}, c.args)
			_, conversationErr := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, c.args)
			for list, err := range map[string]error{"m": listErr, "c": conversationErr} {
				if !strings.Contains(c.lists, list) {
					if err != nil {
						t.Errorf("%s, list %s: %v, want it taken", name, list, err)
					}
					continue
				}
				if got := fields(refused(t, err, refusal.CodeBadUserInput)); len(got) != 1 || got[c.field] == "" {
					t.Errorf("%s, list %s: got %v, want a problem of %s", name, list, err, c.field)
				}
			}
		}
	})
}

// What says nothing that makes sense about a context is refused field by field, also by who
// does not come over GraphQL.
func TestContextInputs(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), chat.Config{})
	u := b.user(t)
	c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Context: &chat.ContextInput{Policy: "FULL"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		in     chat.ContextInput
		fields []string
	}{
		"unknown":       {chat.ContextInput{Policy: "SOME"}, []string{"policy"}},
		"small letters": {chat.ContextInput{Policy: "full"}, []string{"policy"}},
		"none":          {chat.ContextInput{LimitTokens: ptr(4096)}, []string{"policy"}},
		"all at once": {chat.ContextInput{Turns: ptr(0), LimitTokens: ptr(1 << 31)},
			[]string{"policy", "turns", "limitTokens"}},
	} {
		extras := b.unchanged(t, refusal.CodeBadUserInput, func() error {
			_, err := b.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Context: &bad.in})
			return err
		})
		got := fields(extras)
		for _, f := range bad.fields {
			if got["context."+f] == "" {
				t.Errorf("%s: got problems %v, want one of context.%s", name, got, f)
			}
		}
		if len(got) != len(bad.fields) {
			t.Errorf("%s: got problems %v, want %d", name, got, len(bad.fields))
		}
	}
	for _, in := range []chat.ContextInput{{Policy: "LAST_N", Turns: ptr(3), LimitTokens: ptr(256)}, {}} {
		c, err := b.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Context: &in})
		if err != nil {
			t.Fatal(err)
		}
		back, err := chat.DecodeContext(c.ContextSettings)
		if diff := cmp.Diff(in, back); diff != "" || err != nil {
			t.Errorf("settings, %v (-set +stored):\n%s", err, diff)
		}
	}
	if _, err := chat.DecodeContext("{"); err == nil {
		t.Error("half a row is read without an error")
	}
}
