package refusal_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/refusal"
	"parley/internal/refusal/refusaltest"
)

func TestConstructors(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, c := range []struct {
		err     *refusal.Error
		message string
		want    map[string]any
	}{
		{refusal.Unauthenticated("Sign in.", cause), "Sign in.", map[string]any{"code": "UNAUTHENTICATED"}},
		{refusal.Forbidden("Ask the operator."), "Ask the operator.", map[string]any{"code": "FORBIDDEN"}},
		{refusal.NotFound("message"), "There is no such message.", map[string]any{"code": "NOT_FOUND"}},
		{refusal.BadInput("newPassword", "is too common"), "New password is too common.",
			map[string]any{"code": "BAD_USER_INPUT", "fields": map[string]string{"newPassword": "is too common"}}},
		{refusal.Unavailable(cause), "The server cannot do this right now. Try again.",
			map[string]any{"code": "UNAVAILABLE"}},
		{refusal.Internal("X1", cause), "Internal error.", map[string]any{"code": "INTERNAL", "id": "X1"}},
	} {
		if diff := cmp.Diff(c.want, c.err.Extensions()); diff != "" || c.err.Message != c.message {
			t.Errorf("got %q, want %q (-want +got):\n%s", c.err.Message, c.message, diff)
		}
		for _, bad := range refusaltest.Voice(c.err.Code, c.err.Message, c.err.Fields) {
			t.Errorf("%s: %s", c.err.Code, bad)
		}
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]struct {
		seconds int
		words   string
	}{
		-time.Hour:                   {1, "1 second"},
		0:                            {1, "1 second"},
		time.Nanosecond:              {1, "1 second"},
		time.Second:                  {1, "1 second"},
		2100 * time.Millisecond:      {3, "3 seconds"},
		90 * time.Second:             {90, "90 seconds"},
		90*time.Second + 1:           {91, "2 minutes"},
		15 * time.Minute:             {900, "15 minutes"},
		15*time.Minute + time.Second: {901, "16 minutes"},
		7 * time.Hour:                {7 * 3600, "7 hours"},
	} {
		e := refusal.RateLimited("Slow down.", wait)
		got, exact := e.Extensions()["retryAfter"], time.Duration(want.seconds)*time.Second
		if got != want.seconds || e.RetryAfter != exact {
			t.Errorf("%v: got %v and %v, want %v", wait, got, e.RetryAfter, exact)
		}
		if want := "Slow down. Try again in " + want.words + "."; e.Message != want {
			t.Errorf("%v: got %q, want %q", wait, e.Message, want)
		}
	}
	// One that was made by hand says it in the same way.
	e := refusal.Error{Code: refusal.CodeRateLimited, RetryAfter: 1}
	if got := e.Extensions()["retryAfter"]; got != 1 {
		t.Errorf("got %v for a nanosecond, want 1", got)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	p := refusal.Problems{}
	p.Add("email", "")
	if err := p.Err(); err != nil {
		t.Errorf("got %v without a problem, want nil", err)
	}
	p.Add("password", "is too common")
	p.Add("password", "must not be the e-mail address")
	p.Add("parameters.maxTokens", "must be between 1 and 8")
	e, ok := refusal.As(fmt.Errorf("wrapped: %w", p.Err()))
	if !ok {
		t.Fatalf("got %v, want a refusal", p.Err())
	}
	p.Add("later", "is not there")
	want := map[string]string{"password": "is too common", "parameters.maxTokens": "must be between 1 and 8"}
	if diff := cmp.Diff(want, e.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if want := "Parameters max tokens must be between 1 and 8. Password is too common."; e.Message != want {
		t.Errorf("got %q, want %q", e.Message, want)
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("wrapped: %w", refusal.Unavailable(cause))
	if !refusal.Is(err, refusal.CodeUnavailable) || refusal.Is(err, refusal.CodeForbidden) || !errors.Is(err, cause) {
		t.Errorf("got %v, want UNAVAILABLE with its cause", err)
	}
	if refusal.Is(cause, refusal.CodeUnavailable) || refusal.Is(nil, refusal.CodeUnavailable) {
		t.Error("an error that is no refusal has a code")
	}
	if !strings.Contains(err.Error(), "UNAVAILABLE") || !strings.Contains(err.Error(), "cause") {
		t.Errorf("got %q for the log, want code and cause", err)
	}
}

// The list, the constants and the table for clients are the same.
func TestCodes(t *testing.T) {
	t.Parallel()
	find := func(file, pattern string) []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
		return found
	}
	var listed []string
	for _, c := range refusal.Codes() {
		listed = append(listed, string(c))
	}
	if diff := cmp.Diff(find("refusal.go", `Code = "(.*)"`), listed); diff != "" {
		t.Errorf("constants (-) and Codes (+):\n%s", diff)
	}
	documented := find("../../docs/protocol.md", "(?m)^\\| `([A-Z_]+)` \\|")
	last := slices.Index(documented, "INTERNAL")
	if diff := cmp.Diff(documented[:last+1], listed); diff != "" {
		t.Errorf("docs/protocol.md (-) and Codes (+):\n%s", diff)
	}
}

// The check of words finds what it is there for.
func TestVoice(t *testing.T) {
	t.Parallel()
	for message, fields := range map[string]map[string]string{
		"no capital.":                         nil,
		"No full stop":                        nil,
		"Two full stops..":                    nil,
		"This can not be.":                    nil,
		"Invalid input: it is wrong.":         nil,
		"A field beside another code is bad.": {"field": "is bad"},
		"Spaces .  Here.":                     nil,
		"Formatted %!d(MISSING).":             nil,
	} {
		if len(refusaltest.Voice(refusal.CodeForbidden, message, fields)) == 0 {
			t.Errorf("%q %v: accepted", message, fields)
		}
	}
	for message, fields := range map[string]map[string]string{
		"Nothing is said.":       nil,
		"Another is said.":       {"email": "is bad"},
		"Email Is bad.":          {"email": "Is bad"},
		"Email is bad..":         {"email": "is bad."},
		"Email nonsense it was.": {"email": "nonsense it was"},
		" is bad.":               {"": "is bad"},
	} {
		if len(refusaltest.Voice(refusal.CodeBadUserInput, message, fields)) == 0 {
			t.Errorf("%q %v: accepted", message, fields)
		}
	}
	fields := map[string]string{"email": "is bad"}
	if bad := refusaltest.Voice(refusal.CodeBadUserInput, "Email is bad.", fields); bad != nil {
		t.Errorf("got %q, want nothing", bad)
	}
}
