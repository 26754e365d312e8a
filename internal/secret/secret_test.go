package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"parley/internal/secret"
)

func TestTextNeverPrints(t *testing.T) {
	t.Parallel()
	const key = "sk-very-secret"
	type config struct{ Key secret.Text }
	hidden := struct{ key secret.Text }{secret.New(key)} // fmt calls no methods on what it finds in here.
	deep := struct{ c *config }{&config{secret.New(key)}}
	values := []any{secret.New(key), config{secret.New(key)}, &config{secret.New(key)}, hidden, &hidden, deep,
		[]secret.Text{secret.New(key)}, map[string]secret.Text{"key": secret.New(key)}}
	var out bytes.Buffer
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("message", "value", value, slog.Group("group", "value", value))
		}
	}
	for _, encoded := range []string{key, fmt.Sprintf("%x", key), fmt.Sprintf("%X", key)} {
		if strings.Contains(out.String(), encoded) {
			t.Errorf("the secret is printed:\n%s", out.String())
		}
	}
	for _, printed := range []string{
		fmt.Sprint(secret.New(key)), fmt.Sprintf("%#v", secret.New(key)), secret.New(key).String(),
		secret.New(key).LogValue().String(),
	} {
		if printed != secret.Redacted {
			t.Errorf("got %q, want %q", printed, secret.Redacted)
		}
	}
	if text, err := json.Marshal(config{secret.New(key)}); err != nil || string(text) != `{"Key":"[redacted]"}` {
		t.Errorf("got JSON %s, %v, want [redacted]", text, err)
	}
	if got := secret.New(key).Reveal(); got != key {
		t.Errorf("Reveal returns %q, want the secret", got)
	}
}

func TestBlot(t *testing.T) {
	t.Parallel()
	key := secret.New("AIzaSy-0123/xyz\"q")
	for said, want := range map[string]string{
		"":                             "",
		"no such model":                "no such model",
		"AIza":                         "[redacted]",
		"AIz":                          "AIz",
		"wrong key AIzaSy-0123/xyz\"q": "wrong key [redacted]",
		"wrong key AIza****/xyz!":      "wrong key [redacted]****[redacted]!",
		`{"key":"y-0123/xyz\"q"}`:      `{"key":"[redacted]\"q"}`,
		"AIzaAIzaSy":                   "[redacted][redacted]",
		"Grüße 🚀":                      "Grüße 🚀",
	} {
		if got := key.Blot(said); got != want {
			t.Errorf("Blot(%q) = %q, want %q", said, got, want)
		}
	}
	if got := (secret.Text{}).Blot("all"); got != "all" {
		t.Errorf("without a secret: %q, want what was said", got)
	}
}

// Without a secret there is nothing to hide, and it shows that there is none.
func TestEmptyText(t *testing.T) {
	t.Parallel()
	for _, empty := range []secret.Text{{}, secret.New("")} {
		if !empty.IsZero() || empty.Reveal() != "" || empty.String() != "" || fmt.Sprintf("%#v", empty) != "" {
			t.Errorf("got %#v, want nothing", empty)
		}
	}
	if secret.New("x").IsZero() {
		t.Error("a secret of one character is empty")
	}
}
