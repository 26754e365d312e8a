package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parley/internal/secret"
)

// The limits of a Config whose fields are zero.
const (
	defaultDialTimeout   = 5 * time.Second
	defaultTLSTimeout    = 5 * time.Second
	defaultSilence       = 5 * time.Minute // Local models read a long prompt for minutes, others think as long.
	defaultMaxDuration   = 10 * time.Minute
	defaultMaxReplyBytes = 1 << 20
	defaultMaxLineBytes  = 1 << 20
	defaultMaxErrorBytes = 64 << 10
	defaultMaxRetries    = 8
	defaultModelsTTL     = 5 * time.Minute
)

// Config says which model server a Client calls and how patient it is. A zero
// field takes the default named beside it.
type Config struct {
	// BaseURL is the address up to and with the version, such as
	// https://api.openai.com/v1. Required.
	BaseURL string
	// APIKey is sent as a bearer token. When it is empty no Authorization header
	// is sent at all, which is what Ollama and vLLM expect.
	APIKey secret.Text
	// Transport carries the requests; nil is net/http with the limits below. It
	// is called directly, never through an http.Client, so that redirects are not
	// followed whatever it is.
	Transport http.RoundTripper
	// Proxy selects a proxy for the default transport; nil is none.
	Proxy func(*http.Request) (*url.URL, error)

	DialTimeout time.Duration // 5 s.
	TLSTimeout  time.Duration // 5 s.
	// Silence is how long a server may say nothing: from the request to the first piece of text
	// or reasoning, the wait for the header included, and between two pieces. 5 min.
	Silence     time.Duration
	MaxDuration time.Duration // 10 min for one Generate, repeats included.

	MaxReplyBytes int // 1 MiB of text, and as much reasoning again.
	MaxLineBytes  int // 1 MiB for one line or one frame of a stream, without images and the like.
	MaxErrorBytes int // 64 KiB are read of the body of a failed request.
	MaxRetries    int // 8 per Generate, all within 30 s; negative is none.

	ModelsTTL time.Duration // 5 min for which Models answers from memory.

	// ThinkTags are the names of tags, such as think, between which a reply may begin with
	// reasoning; for servers that do not take it apart. With a slash in front the template of
	// the model has opened the tag, so that a reply begins inside.
	ThinkTags []string
}

// Validate reports everything that is wrong with the configuration, joined.
func (c Config) Validate() error {
	errs := []error{validateBaseURL(c.BaseURL), ValidateThinkTags(c.ThinkTags)}
	if strings.ContainsFunc(c.APIKey.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("the API key holds white space or characters that no HTTP header may hold"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"dial timeout", c.DialTimeout}, {"TLS timeout", c.TLSTimeout},
		{"silence", c.Silence}, {"maximum duration", c.MaxDuration}, {"models TTL", c.ModelsTTL},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative: %v", d.name, d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"maximum reply bytes", c.MaxReplyBytes}, {"maximum line bytes", c.MaxLineBytes},
		{"maximum error bytes", c.MaxErrorBytes},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative: %d", n.name, n.value))
		}
	}
	return errors.Join(errs...)
}

func validateBaseURL(base string) error {
	if base == "" {
		return errors.New("the base URL is empty")
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		// The parse error quotes the URL, which may hold a password.
		return errors.New("the base URL is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the base URL does not start with http:// or https://")
	case u.Host == "":
		return errors.New("the base URL names no host")
	case u.User != nil:
		return errors.New("the base URL holds a user name or password; pass a key as the API key")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("the base URL holds a query or a fragment")
	}
	return nil
}

func (c Config) withDefaults() Config {
	setDefault(&c.DialTimeout, defaultDialTimeout)
	setDefault(&c.TLSTimeout, defaultTLSTimeout)
	setDefault(&c.Silence, defaultSilence)
	setDefault(&c.MaxDuration, defaultMaxDuration)
	setDefault(&c.MaxReplyBytes, defaultMaxReplyBytes)
	setDefault(&c.MaxLineBytes, defaultMaxLineBytes)
	setDefault(&c.MaxErrorBytes, defaultMaxErrorBytes)
	setDefault(&c.MaxRetries, defaultMaxRetries)
	setDefault(&c.ModelsTTL, defaultModelsTTL)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
