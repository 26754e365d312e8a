package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuerName = "https://perf.invalid"
	audience   = "perf"
	keyID      = "perf"
	// tokenLife is longer than any run: a socket ends with its token.
	tokenLife = 12 * time.Hour
)

// issuer gives access tokens to users whom the servers make at first sight. It costs
// them no password hash and no sign-up, which are counted by address.
type issuer struct {
	private ed25519.PrivateKey
	server  *http.Server
	url     string // Of the key set.
}

// startIssuer serves the key set on the loopback interface. The caller closes it.
func startIssuer() (*issuer, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": keyID,
		"x": base64.RawURLEncoding.EncodeToString(public),
	}}})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &issuer{private: private, url: fmt.Sprintf("http://%s/keys", listener.Addr())}
	i.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys) // The caller may have gone.
	})}
	go func() { _ = i.server.Serve(listener) }() // It ends when it is closed.
	return i, nil
}

func (i *issuer) close() error { return i.server.Close() }

// token returns an access token for a user by its name.
func (i *issuer) token(name string) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": issuerName, "aud": audience, "sub": name, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	t.Header["kid"] = keyID
	return t.SignedString(i.private)
}
