package upstream_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/script"
)

func scriptedClient(t *testing.T) *upstream.Client {
	t.Helper()
	c, err := upstream.NewScripted(script.Handler(), upstream.Config{}, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func ask(message string) reply.Request {
	return reply.Request{Model: script.Model, Messages: []prompt.Message{prompt.Say(prompt.User, message)}}
}

// What the model script does reaches the client as a model server's doing, at once: nothing
// that fails is tried again.
func TestScripted(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]struct {
		code   reply.Code
		finish reply.FinishReason
		text   string // its beginning
		bytes  int
	}{
		"hello /slow 0":               {"", reply.FinishStop, "hello", 5},
		"/long 200 /slow 0":           {"", reply.FinishStop, "The harbour", 200 << 10},
		"/long 2000 /slow 0":          {reply.CodeLimit, "", "The harbour", 1 << 20},
		"a b c /length":               {"", reply.FinishLength, "a b c", 5},
		"a b c /filter":               {"", reply.FinishContentFilter, "a b c", 5},
		"a b c /fail-at 2":            {reply.CodeUpstream, "", "a b ", 4},
		"a b c /fail-at 2 /error key": {reply.CodeUnauthorized, "", "a b ", 4},
		"a b c /fail-at 0":            {reply.CodeUpstream, "", "", 0},
		"a b c /cut 1":                {reply.CodeTruncated, "", "a ", 2},
		"a b c /cut 0":                {reply.CodeTruncated, "", "", 0},
		"a b c /hang 1":               {reply.CodeTimeout, "", "a ", 2},
		"/refuse":                     {reply.CodeContentFilter, "", "", 0},
		"/too-long":                   {reply.CodeContextTooLong, "", "", 0},
		"/error unavailable":          {reply.CodeUnavailable, "", "", 0},
		"/error timeout":              {reply.CodeTimeout, "", "", 0},
		"/error protocol":             {reply.CodeProtocol, "", "", 0},
		"/error rate":                 {reply.CodeRateLimited, "", "", 0},
		"/error quota":                {reply.CodeQuota, "", "", 0},
		"/error key":                  {reply.CodeUnauthorized, "", "", 0},
		"/error rejected":             {reply.CodeRejected, "", "", 0},
	} {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				out := &output{}
				result, err := scriptedClient(t).Generate(t.Context(), ask(message), out)
				wantCode(t, err, want.code)
				text := out.text.String()
				if !strings.HasPrefix(text, want.text) || len(text) != want.bytes ||
					result.FinishReason != want.finish {
					t.Errorf("got %d bytes %.40q, %q, want %d, %q, %q", len(text), text, result.FinishReason,
						want.bytes, want.text, want.finish)
				}
				if took := time.Since(began); took > time.Second && want.code != reply.CodeTimeout {
					t.Errorf("took %v, want no second try", took)
				}
			})
		})
	}
}

// However often it fails as it was told to, it goes on.
func TestScriptedIsNotPaused(t *testing.T) {
	t.Parallel()
	c := scriptedClient(t)
	for range 30 {
		_, err := c.Generate(t.Context(), ask("/error unavailable"), &output{})
		wantCode(t, err, reply.CodeUnavailable)
	}
	if _, err := c.Generate(t.Context(), ask("hello /slow 0"), &output{}); err != nil {
		t.Errorf("after 30 failures: %v", err)
	}
}

// Reasoning comes first, and usage says what it has cost, or nothing.
func TestScriptedThinks(t *testing.T) {
	t.Parallel()
	out := &output{}
	result, err := scriptedClient(t).Generate(t.Context(), ask("hello /think 4 /slow 0"), out)
	if err != nil || out.reasoning.String() != "First I look at " || out.text.String() != "hello" {
		t.Errorf("got %q, %q, %v", out.reasoning.String(), out.text.String(), err)
	}
	if u := result.Usage; u == nil || u.CompletionTokens != 5 || u.ReasoningTokens == nil || *u.ReasoningTokens != 4 {
		t.Errorf("got usage %+v, want 5 tokens, 4 of them reasoning", u)
	}
	result, err = scriptedClient(t).Generate(t.Context(), ask("hello /usage none /slow 0"), &output{})
	if err != nil || result.Usage != nil {
		t.Errorf("got usage %+v, %v, want none", result.Usage, err)
	}
}
