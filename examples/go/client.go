package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// client is a signed-in user. Its methods may be called from several goroutines.
type client struct {
	url string
	// anonymous is for what needs no token.
	anonymous graphql.Client

	// mu guards tokens, also while new ones are fetched: a refresh token is good
	// once, so whoever comes second waits for the first.
	mu     sync.Mutex
	tokens session
}

func newClient(url string) *client {
	return &client{url: url, anonymous: graphql.NewClient(url, http.DefaultClient)}
}

func (c *client) signUp(ctx context.Context, input SignUpInput) error {
	answer, err := signUp(ctx, c.anonymous, input)
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	c.tokens = answer.SignUp
	return nil
}

func (c *client) signIn(ctx context.Context, input SignInInput) error {
	answer, err := signIn(ctx, c.anonymous, input)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	c.tokens = answer.SignIn
	return nil
}

// token returns an access token other than stale, the one that was refused. An
// error with the code UNAUTHENTICATED means that the session is over.
func (c *client) token(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens.AccessToken == stale {
		answer, err := refresh(ctx, c.anonymous, RefreshSessionInput{RefreshToken: c.tokens.RefreshToken})
		if err != nil {
			return "", fmt.Errorf("refresh session: %w", err)
		}
		c.tokens = answer.RefreshSession
	}
	return c.tokens.AccessToken, nil
}

// send sends a message. It tries again when the connection is lost, with the same
// client key: however often the message arrives, there is one reply.
func (c *client) send(ctx context.Context, input SendMessageInput) (answer *sendResponse, err error) {
	stale := ""
	for failures := 1; failures <= maxTries; failures++ {
		var token string
		if token, err = c.token(ctx, stale); err == nil {
			answer, err = send(ctx, graphql.NewClient(c.url, bearer(token)), input)
		}
		switch {
		case err == nil:
			return answer, nil
		case code(err) == "UNAUTHENTICATED" && token != "" && stale == "":
			stale = token
			continue
		case code(err) != "" && code(err) != "UNAVAILABLE" && code(err) != "OVERLOADED":
			return nil, err
		}
		if err := backOff(ctx, failures); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// bearer is an HTTP client with an access token.
type bearer string

func (b bearer) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultClient.Do(request)
}

// code is the code of a refusal, see docs/protocol.md; empty when err is none, as
// when the connection was lost.
func code(err error) string {
	var list gqlerror.List
	var one *gqlerror.Error
	if errors.As(err, &list) && len(list) > 0 {
		one = list[0]
	} else if !errors.As(err, &one) {
		return ""
	}
	name, _ := one.Extensions["code"].(string)
	return cmp.Or(name, "UNKNOWN")
}
