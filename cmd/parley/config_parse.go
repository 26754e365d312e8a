package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/auth"
	"parley/internal/hosts"
	"parley/internal/prompt"
	"parley/internal/secret"
	"parley/internal/store"
	"parley/internal/upstream"
)

func parseAddr(field *string, v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		if !strings.Contains(v, ":") {
			return fmt.Errorf("%q has no port", v)
		}
		return fmt.Errorf("%q is not an address; IPv6 addresses stand in brackets", v)
	}
	// Port 0 is a free one that the system picks, for tests; the log names it.
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port from 0 to 65535", port)
	}
	*field = v
	return nil
}

func parseOneOf[T ~string](field *T, v string, accepted ...T) error {
	if !slices.Contains(accepted, T(v)) {
		return fmt.Errorf("%q is not one of them", v)
	}
	*field = T(v)
	return nil
}

func parseLogLevel(c *config, v string) error {
	var name string
	if err := parseOneOf(&name, v, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return c.LogLevel.UnmarshalText([]byte(name))
}

func parseSignUp(c *config, v string) error {
	var name string
	err := parseOneOf(&name, v, "open", "closed")
	c.SignUpOpen = name == "open"
	return err
}

func parseWord(field *string, v string) error {
	if strings.ContainsFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fmt.Errorf("%q holds white space", v)
	}
	*field = v
	return nil
}

// The bounds of what the chat page shows of an operator's words.
const (
	maxSiteName    = 60
	maxSuggestions = 6
	maxSuggestion  = 200
)

// parseLine reads a text of at most so many characters that people see.
func parseLine(field *string, v string, most int) error {
	v = strings.TrimSpace(v)
	switch {
	case v == "":
		return errors.New("it is empty")
	case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl):
		return fmt.Errorf("%q is not a line of text", v)
	case utf8.RuneCountInString(v) > most:
		return fmt.Errorf("%q has more than %d characters", v, most)
	}
	*field = v
	return nil
}

func parseSiteName(c *config, v string) error { return parseLine(&c.SiteName, v, maxSiteName) }

func parseSuggestions(c *config, v string) error {
	list := strings.Split(v, "|")
	if len(list) > maxSuggestions {
		return fmt.Errorf("these are %d", len(list))
	}
	for i := range list {
		if err := parseLine(&list[i], list[i], maxSuggestion); err != nil {
			return err
		}
	}
	c.Suggestions = list
	return nil
}

// parseContext reads a policy, and for "last" how many turns.
func parseContext(c *config, v string) error {
	word, turns, counted := strings.Cut(v, " ")
	policies := map[string]prompt.Policy{"full": prompt.Full, "truncate": prompt.Truncate, "last": prompt.LastN,
		"summarize": prompt.Summarize}
	policy, known := policies[word]
	switch {
	case !known:
		return fmt.Errorf("%q is not one of them", v)
	case counted != (policy == prompt.LastN):
		return fmt.Errorf("%q is not one of them: a number of turns stands behind last, and only there", v)
	}
	c.Context = prompt.Settings{Policy: policy}
	if !counted {
		return nil
	}
	return parseInt(&c.Context.Turns, strings.TrimSpace(turns), 1, 1000)
}

// showContext is what parseContext reads.
func showContext(c config) any {
	switch c.Context.Policy {
	case "":
		return ""
	case prompt.LastN:
		return fmt.Sprint("last ", c.Context.Turns)
	}
	return strings.ToLower(string(c.Context.Policy))
}

func parseDuration(field *time.Duration, v string, least, most time.Duration) error {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration like 90s or 1m30s", v)
	case d < least:
		return fmt.Errorf("%v is too short", d)
	case d > most:
		return fmt.Errorf("%v is too long", d)
	}
	*field = d
	return nil
}

// parseDurationOrNone is parseDuration, with 0 for none.
func parseDurationOrNone(field *time.Duration, v string, least, most time.Duration) error {
	if d, err := time.ParseDuration(v); err == nil && d == 0 {
		*field = 0
		return nil
	}
	return parseDuration(field, v, least, most)
}

func parseInt[T int | int64](field *T, v string, least, most int64) error {
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a whole number", v)
	case n < least:
		return fmt.Errorf("%d is too small", n)
	case n > most:
		return fmt.Errorf("%d is too large", n)
	}
	*field = T(n)
	return nil
}

// split cuts a list at its commas. Empty elements are refused: they are slips.
func split(v string) ([]string, error) {
	parts := strings.Split(v, ",")
	for i, p := range parts {
		if parts[i] = strings.TrimSpace(p); parts[i] == "" {
			return nil, errors.New("there is nothing between two commas, or before or after one")
		}
	}
	return parts, nil
}

func parseList(field *[]string, v string) error {
	parts, err := split(v)
	if err != nil {
		return err
	}
	for i, p := range parts {
		if slices.Contains(parts[:i], p) {
			return fmt.Errorf("%q is given twice", p)
		}
	}
	*field = parts
	return nil
}

func parseThinkTags(field *[]string, v string) error {
	if err := parseList(field, v); err != nil {
		return err
	}
	return upstream.ValidateThinkTags(*field)
}

// errUserInOrigin is found before the list is split: a comma may be part of the password.
var errUserInOrigin = errors.New("an origin holds a user name or password; it is scheme, host and port only")

func parseOrigins(field *[]string, v string) error {
	if strings.Contains(v, "@") {
		return errUserInOrigin
	}
	parts, err := split(v)
	if err != nil {
		return err
	}
	var origins []string
	for _, p := range parts {
		origin, err := parseOrigin(p)
		if err != nil {
			return err
		}
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	*field = origins
	return nil
}

// parseOrigin returns an origin the way browsers write it in the Origin header.
func parseOrigin(v string) (string, error) {
	if strings.Contains(v, "*") {
		return "", fmt.Errorf("%q would let pages of anybody act for a signed-in user; list the origins", v)
	}
	u, err := url.Parse(strings.ToLower(v))
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", fmt.Errorf("%q is not an origin like https://app.example.com", v)
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(v, "?") ||
		strings.HasSuffix(v, "#"):
		return "", fmt.Errorf("%q has more than scheme, host and port; origins end there, without a slash", v)
	}
	if port := u.Port(); u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.Scheme + "://" + u.Host, nil
}

func parseHosts(c *config, v string) error {
	parts, err := split(v)
	if err != nil {
		return err
	}
	c.Hosts, err = hosts.ParsePatterns(parts)
	return err
}

func parsePrefixes(field *[]netip.Prefix, v string) error {
	parts, err := split(v)
	if err != nil {
		return err
	}
	var prefixes []netip.Prefix
	for _, part := range parts {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			if ip, err := netip.ParseAddr(part); err == nil {
				return fmt.Errorf("%q is one address; write %s/%d", part, ip, ip.BitLen())
			}
			return fmt.Errorf("%q is not a network", part)
		}
		if p.Bits() == 0 {
			return fmt.Errorf("%q trusts everybody, so anybody could pose as any address", part)
		}
		prefixes = append(prefixes, p.Masked())
	}
	*field = prefixes
	return nil
}

// parseSecretURL never quotes the value, nor the error of url.Parse, which does.
func parseSecretURL(field *secret.Text, v string, schemes ...string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errors.New("not a URL; special characters in a password are percent-encoded")
	case !slices.Contains(schemes, u.Scheme) || u.Opaque != "":
		return fmt.Errorf("does not start with %s://", schemes[0])
	case store.BeyondHost(v):
		return errors.New("has an @ behind the host; special characters are percent-encoded, in a password above all: " +
			"/ is %2F, ? is %3F, # is %23, @ is %40")
	}
	*field = secret.New(v)
	return nil
}

// parseNATSURLs never quotes the value either.
func parseNATSURLs(field *secret.Text, v string) error {
	parts, err := split(v)
	if err != nil {
		return err
	}
	for _, p := range parts {
		u, err := url.Parse(p)
		switch {
		case err != nil:
			return errors.New("not a URL; special characters in a password are percent-encoded")
		case u.Scheme != "nats" && u.Scheme != "tls":
			return errors.New("does not start with nats:// or tls://")
		case u.Hostname() == "":
			return errors.New("names no host")
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return errors.New("has more than a scheme, a user, a host and a port")
		}
	}
	*field = secret.New(strings.Join(parts, ","))
	return nil
}

// parseAuthKeys only checks the keys: whoever makes the keyring parses again.
func parseAuthKeys(c *config, v string) error {
	if _, err := auth.ParseKeyring(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "auth keys: "))
	}
	c.AuthKeys = secret.New(v)
	return nil
}

func parseAPIKey(c *config, v string) error {
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("holds white space or characters that no HTTP header may hold")
	}
	c.OpenAIKey = secret.New(v)
	return nil
}

func parseBaseURL(field *string, v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil:
		// The parse error quotes the URL, which may hold a password.
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("does not start with http:// or https://")
	case u.Host == "":
		return errors.New("names no host")
	case u.User != nil || strings.Contains(v, "@"):
		return errors.New("holds a user name or password; a key belongs in OPENAI_API_KEY")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("holds a query or a fragment")
	}
	*field = strings.TrimRight(v, "/")
	return nil
}

func parseJWKSURL(field *string, v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.Contains(v, "@"):
		return errors.New("not a URL, or one with a user name or password")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(net.JoinHostPort(u.Hostname(), "0")):
	default:
		return fmt.Errorf("%q is not https://, so anybody on the way could swap the keys", v)
	}
	*field = v
	return nil
}

// parseJWKSURLs looks for a password before the list is split: a comma may be part of it.
func parseJWKSURLs(c *config, v string) error {
	if strings.Contains(v, "@") {
		return errors.New("not a URL, or one with a user name or password")
	}
	return parseOIDC(c, v, parseJWKSURL, func(o *oidcIssuer) *string { return &o.JWKSURL })
}

// parseOIDC sets one field of each issuer from a list, in order. Lists of
// different lengths are reported by config.check.
func parseOIDC(c *config, v string, parse func(*string, string) error, field func(*oidcIssuer) *string) error {
	parts, err := split(v)
	if err != nil {
		return err
	}
	for i, p := range parts {
		if i == len(c.OIDC) {
			c.OIDC = append(c.OIDC, oidcIssuer{})
		}
		if err := parse(field(&c.OIDC[i]), p); err != nil {
			return err
		}
	}
	return nil
}
