package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// TestSlowStatements are said with their shape, on both databases, and not with their values.
func TestSlowStatements(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, cfg store.Config) {
		const secret = "Zaunkoenig"
		var text bytes.Buffer
		var mu sync.Mutex
		log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return text.Write(p)
		}), nil))
		cfg.SlowAfter = time.Nanosecond
		s, err := store.Open(t.Context(), cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() }) // Nothing of it is looked at.
		ctx := viewer.AsAdmin(t.Context())
		err = s.InTx(ctx, func(tx *ent.Tx) error {
			return tx.User.Create().SetEmail(secret + "@example.com").Exec(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		meters := s.Meters()
		for _, kind := range []string{"exec", "begin", "commit"} {
			if shot := meters.Statements.Of(kind).Shot(); shot.Count == 0 || shot.Sum <= 0 {
				t.Errorf("no %s was counted: %+v", kind, shot)
			}
		}
		if n := meters.Turns.Of("ordinary").Shot().Count; n == 0 {
			t.Error("no turn was counted")
		}
		mu.Lock()
		defer mu.Unlock()
		if said := text.String(); !strings.Contains(said, "slow statement") || !strings.Contains(said, "INSERT INTO") ||
			!strings.Contains(said, "took=") || strings.Contains(strings.ToLower(said), strings.ToLower(secret)) {
			t.Errorf("the log says:\n%s", said)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		cfg := store.Config{DataDir: t.TempDir()}
		if _, err := store.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		test(t, cfg)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.PostgresConfig(t))
	})
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }
