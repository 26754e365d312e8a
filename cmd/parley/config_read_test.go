package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeSecret(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecretsFromFiles reads each secret of the table from a file.
func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	read := func(c config) map[string]string {
		return map[string]string{"OPENAI_API_KEY": c.OpenAIKey.Reveal(), "PARLEY_AUTH_KEYS": c.AuthKeys.Reveal(),
			"PARLEY_DATABASE_URL": c.DatabaseURL.Reveal(), "PARLEY_NATS_URL": c.NATSURL.Reveal()}
	}
	for _, v := range variables {
		if !v.secret {
			continue
		}
		example := v.example
		if v.name == "PARLEY_AUTH_KEYS" {
			example = testKeys
		}
		others := []string{"PARLEY_DATABASE_URL=postgres://u@h/d", "PARLEY_AUTH_KEYS=" + testKeys}
		var environ []string
		for _, o := range others {
			if !strings.HasPrefix(o, v.name+"=") {
				environ = append(environ, o)
			}
		}
		for _, end := range []string{"", "\n", "\r\n"} {
			path := writeSecret(t, example+end)
			c := mustLoad(t, append(environ, v.name+"_FILE="+path)...)
			if got := read(c)[v.name]; got != example {
				t.Errorf("%s from a file that ends with %q is %q, want what the file holds", v.name, end, got)
			}
		}
		// An empty value counts as unset, on either side.
		mustLoad(t, append(environ, v.name+"=", v.name+"_FILE="+writeSecret(t, example))...)
		mustLoad(t, append(environ, v.name+"="+example, v.name+"_FILE=")...)
	}
}

func TestUnusableSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := writeSecret(t, strings.Repeat("x", maxSecretFile+1))
	for _, test := range []struct{ name, environ, want string }{
		{"both", "OPENAI_API_KEY=k\nOPENAI_API_KEY_FILE=" + writeSecret(t, "k"), "set beside OPENAI_API_KEY"},
		{"missing", "OPENAI_API_KEY_FILE=" + dir + "/none", dir + "/none: no such file"},
		{"a folder", "OPENAI_API_KEY_FILE=" + dir, dir + ": it is a folder"},
		{"empty", "OPENAI_API_KEY_FILE=" + writeSecret(t, "\n"), "the file is empty"},
		{"large", "OPENAI_API_KEY_FILE=" + large, large + ": it has more than"},
		{"the secret itself", "OPENAI_API_KEY_FILE=sk-hunter2", "no file of that name"},
		{"a wrong value", "PARLEY_DATABASE_URL_FILE=" + writeSecret(t, "hunter2"), ""},
		{"no secret", "PARLEY_MODE_FILE=" + writeSecret(t, "production"),
			"only secrets are read from files: set PARLEY_MODE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadConfig(strings.Split(test.environ, "\n"))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q and no secret", err, test.want)
			}
		})
	}
}

// TestLikelyVariables sees that slips are answered with what was meant.
func TestLikelyVariables(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"PARLEY_ADRR": "PARLEY_ADDR", "PARLEY_HOST": "PARLEY_ADDR", "PARLEY_DB_URL": "PARLEY_DATABASE_URL",
		"PARLEY_DATABASE": "PARLEY_DATABASE_URL", "PARLEY_OPENAI_API_KEY": "OPENAI_API_KEY",
		"PARLEY_API_KEY": "OPENAI_API_KEY", "PARLEY_BASE_URL": "OPENAI_BASE_URL",
		"PARLEY_OPENAI_BASEURL": "OPENAI_BASE_URL",
		"PARLEY_LOGLEVEL":       "PARLEY_LOG_LEVEL", "PARLEY_SIGN_UP": "PARLEY_SIGNUP",
		"PARLEY_MODLE": "PARLEY_MODEL", "PARLEY_KEYS": "PARLEY_AUTH_KEYS",
		"PARLEY_mode": "PARLEY_MODE", "PARLEY_DATABASE_URLFILE": "PARLEY_DATABASE_URL",
	} {
		_, err := loadConfig([]string{name + "=x"})
		var wrong *configError
		if !errors.As(err, &wrong) || wrong.Name != name || !strings.Contains(wrong.Problem, "did you mean "+want+"?") {
			t.Errorf("%s: got %v, want a hint at %s", name, err, want)
		}
	}
	// Those that may be of other programs stop nothing.
	for name, want := range map[string]string{
		"OPENAI_APIKEY": "OPENAI_API_KEY", "OPENAI_KEY": "OPENAI_API_KEY", "OPENAI_API_BASE": "OPENAI_BASE_URL",
		"OPENAI_BASEURL": "OPENAI_BASE_URL", "PARLY_ADDR": "PARLEY_ADDR", "PALREY_MODE": "PARLEY_MODE",
		"parley_mode": "PARLEY_MODE", "OPENAI_MODELS": "PARLEY_MODELS",
	} {
		c := mustLoad(t, name+"=x")
		if len(c.Notes) != 1 ||
			!strings.HasPrefix(c.Notes[0], name+" is not read") ||
			!strings.HasSuffix(c.Notes[0], want) {
			t.Errorf("%s: got the notes %q, want a hint at %s", name, c.Notes, want)
		}
	}
	if c := mustLoad(t, "OPENAI_API_BASE=x", "OPENAI_BASE_URL=http://127.0.0.1:1/v1"); len(c.Notes) > 0 {
		t.Errorf("got the notes %q where the right variable is set too, want none", c.Notes)
	}
	for _, name := range []string{"HOME", "ADDR", "OPENAI_LOG", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "DATABASE_URL",
		"MODEL",
		"PARLEY_URL", "PARLEY_EMAIL", "PARLEY_PASSWORD"} {
		if c := mustLoad(t, name+"=x"); len(c.Notes) > 0 {
			t.Errorf("%s: got the notes %q, want none", name, c.Notes)
		}
	}
}

// TestExamplesVariables compares the names that the examples read with those the server
// lets pass.
func TestExamplesVariables(t *testing.T) {
	t.Parallel()
	found := make(map[string]bool)
	for _, pattern := range []string{"../../examples/*/*", "../../examples/*/src/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // A folder.
			}
			for _, word := range strings.FieldsFunc(string(text), func(r rune) bool {
				return r != '_' && (r < 'A' || r > 'Z')
			}) {
				if strings.HasPrefix(word, prefix) && word != prefix {
					found[word] = true
				}
			}
		}
	}
	if len(found) < len(exampleVariables) {
		t.Errorf("the examples read %v, want %v among them", found, exampleVariables)
	}
	for name := range found {
		if _, err := loadConfig([]string{name + "=x"}); err != nil &&
			strings.Contains(err.Error(), "no such variable") {
			t.Errorf("an example reads %s, which stops the server: %v", name, err)
		}
	}
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	key := writeSecret(t, "sk-hunter2\n")
	environ := []string{"PARLEY_LEASE=30s", "OPENAI_API_KEY_FILE=" + key, "PARLEY_DATA_DIR=" + t.TempDir() + "/none",
		"OPENAI_MODELS=x"}
	text, err := runInside(t, environ, "config")
	if err != nil {
		t.Fatal(err)
	}
	columns := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"PARLEY_LEASE environment 30s", "PARLEY_WAIT_LIMIT default 50s",
		"OPENAI_API_KEY file " + key + " [redacted]", "PARLEY_DATABASE_URL default -",
		"warning: OPENAI_MODELS is not read",
		"OPENAI_BASE_URL default https://api.openai.com/v1", "A server would start"} {
		if !strings.Contains(columns, want) {
			t.Errorf("parley config lacks %q:\n%s", want, text)
		}
	}
	text, err = runInside(t, environ, "config", "--json")
	var shown shownConfig
	if err != nil || json.Unmarshal([]byte(text), &shown) != nil || !shown.OK || len(shown.Settings) != len(variables) {
		t.Fatalf("parley config --json = %s, %v, want all settings", text, err)
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("parley config shows a secret:\n%s", text)
	}

	file := writeSecret(t, "")
	for _, test := range []struct{ entry, name string }{
		{"PARLEY_LEASE=1h", "PARLEY_LEASE"}, {"PARLEY_DATA_DIR=" + file, "PARLEY_DATA_DIR"},
		{"PARLEY_DOCUMENTS=" + file, ""}, {"PARLEY_NATS_URL=nats://h", "PARLEY_AUTH_KEYS"},
	} {
		text, err := runInside(t, []string{test.entry}, "config", "--json")
		var shown shownConfig
		if decoded := json.Unmarshal([]byte(text), &shown); err == nil || decoded != nil ||
			shown.OK ||
			len(shown.Problems) == 0 || shown.Problems[0].Name != test.name {
			t.Errorf("%s: parley config = %v, %+v, want an error about %q", test.entry, err, shown.Problems, test.name)
		}
	}
	// Nothing is made by looking.
	if _, err := os.Stat(strings.TrimPrefix(environ[2], "PARLEY_DATA_DIR=")); err == nil {
		t.Error("parley config has made the data folder")
	}
	if got := command(t, []string{"PARLEY_LEASE=1h"}, "", "config"); got.code != 1 ||
		!strings.Contains(got.stdout,
			"PARLEY_WAIT_LIMIT") || !strings.Contains(got.stderr, "PARLEY_LEASE: 1h0m0s is too long") {
		t.Errorf("parley config with a wrong value = %+v, want the settings, the error and status 1", got)
	}
}
