package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"parley/internal/auth"
	"parley/internal/fact"
	"parley/internal/session"
	"parley/internal/store"
)

// newAuth makes the accounts.
func newAuth(
	cfg config, keys *auth.Keyring, db *store.Store, facts fact.Bus, log *slog.Logger,
) (*auth.Service, error) {
	external := make([]auth.ExternalIssuer, len(cfg.OIDC))
	for i, o := range cfg.OIDC {
		external[i] = auth.ExternalIssuer{
			Issuer: o.Issuer, Audience: o.Audience, JWKSURL: o.JWKSURL,
			Algorithms: auth.AsymmetricAlgorithms(),
		}
	}
	return auth.New(auth.Config{
		Issuer:          cfg.Issuer,
		Audience:        "parley",
		SignUpOpen:      cfg.SignUpOpen,
		AccessTTL:       cfg.AccessTTL,
		RefreshIdle:     refreshIdle,
		RefreshAbsolute: refreshAbsolute,
		Grace:           refreshGrace,
		Limits:          attemptLimits,
		Hash:            passwordHash,
		External:        external,
		Clock:           storeConfig(cfg).Clock,
	}, db, facts, keys, log)
}

// newSessions makes what keeps the sessions of the chat page. A development server may be asked without TLS, where the
// cookie has a name of its own: that of the keys that made what it holds.
func newSessions(cfg config, keys *auth.Keyring, accounts *auth.Service, log *slog.Logger) *session.Handler {
	plain := ""
	if cfg.Mode == development {
		plain = "parley-" + keys.KeyIDs()[0]
	}
	return session.New(session.Config{Accounts: accounts, PlainName: plain, MaxAge: refreshIdle, Log: log})
}

// readKeys takes the keys of access tokens from the configuration, or from the data
// folder, where it makes them when they are missing.
func readKeys(cfg config) (keys *auth.Keyring, err error) {
	if cfg.AuthKeys.IsZero() {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("PARLEY_DATA_DIR: %w", store.Explain(store.Config{DataDir: cfg.DataDir}, err))
		}
		keys, err = auth.LoadOrCreateKeyring(filepath.Join(cfg.DataDir, keysName))
	} else {
		keys, err = auth.ParseKeyring(cfg.AuthKeys.Reveal())
	}
	if err != nil {
		return nil, fmt.Errorf("keys of access tokens: %w", store.Explain(store.Config{DataDir: cfg.DataDir}, err))
	}
	return keys, nil
}

// keysName is the file in the data folder that holds the keys.
const keysName = "auth.keys"
