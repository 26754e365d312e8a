package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/bus"
)

// secretPlaces are ways to give a secret to Parley, right and wrong: each with the name of
// a variable, and where the secret stands in its value. Q is the secret as in a query, P
// as in a path, S as it is.
var secretPlaces = []string{
	"PARLEY_DATABASE_URL=postgres://u:{S}@127.0.0.1:1/d?sslmode=disable&connect_timeout=1",
	"PARLEY_DATABASE_URL=postgres://u:{Q}@127.0.0.1:1/d?sslmode=disable&connect_timeout=1",
	"PARLEY_DATABASE_URL=postgres://u:{P}@127.0.0.1:1/d?sslmode=disable&connect_timeout=1",
	"PARLEY_DATABASE_URL=postgres://u:{S}@127.0.0.1:1/d?sslmode=perhaps",
	"PARLEY_DATABASE_URL=postgres://u:12/{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=postgres://u:12?{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=postgres://u:12#{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=postgres://u:x@y/{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=postgres://u@127.0.0.1:1/d?password={S}&sslmode=disable",
	"PARLEY_DATABASE_URL=postgres://u@127.0.0.1:1/d?password={Q}&sslmode=disable",
	"PARLEY_DATABASE_URL=postgres://u@127.0.0.1:1/d?password='{S}'&sslmode=verify-full&sslrootcert=system",
	"PARLEY_DATABASE_URL=postgres://u:'{S}'@127.0.0.1:port/d",
	"PARLEY_DATABASE_URL=\"postgres://u:{S}@127.0.0.1:1/d\"",
	"PARLEY_DATABASE_URL=postgres:u:{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=postgresql:///d?user=u&host=127.0.0.1&port=1&password={Q}&sslmode=disable",
	"PARLEY_DATABASE_URL=mysql://u:{S}@127.0.0.1:1/d",
	"PARLEY_DATABASE_URL=host=127.0.0.1 port=1 user=u password={S}",
	"PARLEY_DATABASE_URL=host=127.0.0.1 user=u password='{S}' dbname=d",
	"PARLEY_DATABASE_URL=host=127.0.0.1 user=u password='{S}\\' dbname=d",
	"PARLEY_DATABASE_URL={S}",
	"PARLEY_NATS_URL=nats://u:{S}@127.0.0.1:1",
	"PARLEY_NATS_URL=nats://u:{Q}@127.0.0.1:1",
	"PARLEY_NATS_URL=tls://u:{P}@127.0.0.1:1",
	"PARLEY_NATS_URL=nats://{Q}@127.0.0.1:1",
	"PARLEY_NATS_URL=nats://u:{S}@127.0.0.1:1,nats://u:{Q}@127.0.0.1:port",
	"PARLEY_NATS_URL=nats://u:12/{S}@127.0.0.1:1",
	"PARLEY_NATS_URL='nats://u:{S}@127.0.0.1:1'",
	"PARLEY_NATS_URL={S}",
	"PARLEY_AUTH_KEYS=k1:{S}",
	"PARLEY_AUTH_KEYS={S}:k1",
	"PARLEY_AUTH_KEYS={S}",
	"PARLEY_AUTH_KEYS=k1={S}",
	"PARLEY_AUTH_KEYS={S}:{S},{S}:{S}",
	"PARLEY_AUTH_KEYS=k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8={S}",
	"OPENAI_API_KEY={S}",
	"OPENAI_API_KEY=sk-{S}\n{S}",
	"OPENAI_API_KEY='{S}'",
	"OPENAI_API_KEY=Bearer {S}",
	"OPENAI_BASE_URL=http://u:{S}@127.0.0.1:1/v1",
	"OPENAI_BASE_URL=http://u:12/{S}@127.0.0.1:1/v1",
	"OPENAI_BASE_URL=http://127.0.0.1:1/v1?key={S}",
	"PARLEY_OIDC_JWKS_URL=http://u:{S}@idp.example.com/keys",
	"PARLEY_OIDC_JWKS_URL=http://u:12/{S}@idp.example.com/keys",
	"PARLEY_ALLOWED_ORIGINS=https://u:{S}@app.example.com",
	"OPENAI_API_KEY_FILE={S}",
	"PARLEY_AUTH_KEYS_FILE=k1:{S}",
	"PARLEY_DATABASE_URL_FILE=postgres://u:{S}@127.0.0.1:1/d",
}

// oddSecrets are the quotings that parsers stumble over.
var oddSecrets = []string{
	"correcthorse", "p@ss/word?and#more", "100%sure%zz", "%41%42%2F%40secret", `it's "quoted" \ twice`, "a:b@c:d/e",
	"with space and\ttab", "line\nbreak-here", "ends'", `\'; DROP`, "ключ-секрет", "[::1]:80/secret", "nul\x00inside",
	"back\\slash\\end\\", "plus+and=equals&amp", "{curly}$dollar`tick",
	"bad\xff\xfeutf8", "//u:inner@host/x", "first,second,third/fourth",
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", strings.Repeat("long", 100),
}

// FuzzSecretsStayHidden gives a secret in all kinds of quoting, and looks for four
// characters of it in a row in errors, in the log and in what parley config prints.
func FuzzSecretsStayHidden(f *testing.F) {
	for place := range secretPlaces {
		for _, s := range oddSecrets {
			f.Add(uint8(place), s)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, place uint8, text string) {
		pattern := secretPlaces[int(place)%len(secretPlaces)]
		text = distinctive(text)
		if strings.HasSuffix(pattern, "_FILE={S}") && looksLikePath(text) {
			t.Skip("nobody can tell it from a path")
		}
		said := sayAll(t, dir, placed(pattern, text))
		for _, piece := range pieces(text) {
			if strings.Contains(said, piece) {
				t.Fatalf("%q with the secret %q shows %q of it:\n%s", pattern, text, piece, said)
			}
		}
	})
}

func placed(pattern, text string) string {
	return strings.NewReplacer("{S}", text, "{Q}", url.QueryEscape(text), "{P}", url.PathEscape(text)).Replace(pattern)
}

// distinctive replaces letters and digits by some that no message of ours has in a row,
// apart from those of an escape, so that what is found is the secret's.
func distinctive(text string) string {
	b := []byte(text)
	for i, c := range b {
		escape := i > 0 && b[i-1] == '%' || i > 1 && b[i-2] == '%'
		if !escape && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			b[i] = "QXZJKVWY"[(int(c)+i)%8]
		}
	}
	return string(b)
}

// pieces are all runs of four bytes of a secret, in each way to write it, that could not
// be something else.
func pieces(text string) []string {
	var all []string
	forms := []string{text, url.QueryEscape(text), url.PathEscape(text), fmt.Sprintf("%q", text)}
	if decoded, err := url.QueryUnescape(text); err == nil {
		forms = append(forms, decoded)
	}
	for _, form := range forms {
		for i := 0; i+4 <= len(form); i++ {
			piece := form[i : i+4]
			if strings.Count(strings.Map(marks, piece), "!") >= 2 {
				all = append(all, piece)
			}
		}
	}
	return all
}

func marks(r rune) rune {
	if strings.ContainsRune("QXZJKVWY", r) || r > 0x7f && r != 0xfffd {
		return '!'
	}
	return r
}

// sayAll returns everything that Parley says about a setting.
func sayAll(t *testing.T, dir, entry string) string {
	t.Helper()
	environ := []string{"PARLEY_ADDR=127.0.0.1:0", "PARLEY_LOG_LEVEL=debug", entry,
		"PARLEY_DATA_DIR=" + filepath.Join(dir, "data")}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	say := func(args ...string) {
		if err := run(ctx, args, environ, strings.NewReader(""), &out, &out); err != nil {
			fmt.Fprintln(&out, "parley:", err)
		}
	}
	say("config")
	say("config", "--json")
	cfg, err := loadConfig(environ)
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.LogAttrs(ctx, slog.LevelInfo, "started", cfg.Summary()...)
	log.Info("notes", "notes", cfg.Notes)
	if err == nil && !cfg.DatabaseURL.IsZero() {
		say("migrate")
		say("user", "list")
		_, _, err := openDatabase(ctx, cfg, log)
		log.Warn("waiting for the database", "err", err)
	}
	if !cfg.NATSURL.IsZero() {
		n, err := bus.Connect(ctx, bus.Config{URL: cfg.NATSURL.Reveal(), Namespace: "test", Log: log})
		log.Info("connected", "err", err)
		if err == nil {
			n.Close()
		}
	}
	return out.String()
}
