package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"parley/internal/hosts"
	"parley/internal/reply"
)

// saw says what an answer was, without anything of its body.
func (a answer) saw() string {
	switch {
	case a.status == http.StatusOK && a.isPage():
		return fmt.Sprintf("%s is a web page, and no list of models", a.path)
	case a.status == http.StatusOK:
		return fmt.Sprintf("the answer under %s is no list of models", a.path)
	}
	return fmt.Sprintf("%s is answered with %d %s", a.path, a.status, http.StatusText(a.status))
}

func (a answer) refusesKey() bool {
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
}

// plainToTLS reports whether a server that speaks TLS has got a request without.
func (a answer) plainToTLS() bool {
	body := strings.ToLower(string(a.body))
	return a.status == http.StatusBadRequest && strings.Contains(body, "http request") && strings.Contains(body,
		"https")
}

// explain says what is wrong with a server that has answered so, and not by a path that does
// not exist.
func (c *Client) explain(a answer) error {
	switch {
	case a.err != nil && a.status == 0:
		return c.explainError(a.err)
	case a.err != nil || len(a.body) > maxDocumentBytes:
		return &SetupError{Saw: "the list of models could not be read to its end"}
	case a.status >= 300 && a.status < 400:
		return c.explainRedirect(a)
	case a.refusesKey() && c.cfg.APIKey.IsZero():
		return &SetupError{Saw: a.saw(), Cause: "the server wants a key; set OPENAI_API_KEY"}
	case a.refusesKey():
		return &SetupError{Saw: a.saw(), Cause: "OPENAI_API_KEY is wrong, has expired, or is a key of another server"}
	case a.plainToTLS():
		return &SetupError{Saw: a.saw(), Cause: "the server speaks https; write https:// in OPENAI_BASE_URL"}
	case a.status >= 500 && a.isPage():
		return &SetupError{Saw: a.saw(),
			Cause: "a proxy answers, and the model server behind it is probably not running"}
	case a.status >= 500:
		return &SetupError{Saw: a.saw(), Cause: "the server is starting, has failed, or has too much to do"}
	case a.status == http.StatusTooManyRequests:
		return &SetupError{Saw: a.saw(), Cause: "the key has no quota left, or is asked too often"}
	}
	return &SetupError{Saw: a.saw(), Cause: "OPENAI_BASE_URL is probably not that of a model server"}
}

// explainRedirect names where the server wants to send us. The key does not go there.
func (c *Client) explainRedirect(a answer) error {
	base, _ := url.Parse(c.cfg.BaseURL) // It has been parsed before.
	to, err := base.Parse(a.header.Get("Location"))
	if err != nil || to.Host == "" {
		return &SetupError{Saw: a.saw(), Cause: "a redirect, which is not followed since the key would go along"}
	}
	where := (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
	cause := "a redirect to " + hosts.Quote(c.doer.errors.withoutKeys(where)) +
		", which is not followed since the key would go along"
	if better, ok := strings.CutSuffix(where, "/models"); ok && to.Hostname() == base.Hostname() &&
		better != c.cfg.BaseURL {
		cause += "; OPENAI_BASE_URL is probably " + hosts.Quote(better)
	}
	return &SetupError{Saw: a.saw(), Cause: cause}
}

// explainError says why there was no answer.
func (c *Client) explainError(err error) error {
	base, _ := url.Parse(c.cfg.BaseURL) // It has been parsed before.
	host := base.Host
	var dns *net.DNSError
	var timeout net.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &dns):
		return &SetupError{Saw: fmt.Sprintf("the name %s is not known", base.Hostname()),
			Cause: unknownName(base.Hostname())}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &SetupError{Saw: "nothing listens on " + host, Cause: notRunning(base.Hostname())}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &SetupError{Saw: host + " does not speak https", Cause: "write http:// in OPENAI_BASE_URL"}
	case strings.Contains(err.Error(), "malformed HTTP"):
		return &SetupError{Saw: host + " does not speak http",
			Cause: "write https:// in OPENAI_BASE_URL, or another port"}
	case isTLS(err):
		return explainTLS(host, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return &SetupError{Saw: fmt.Sprintf("%s does not answer within %v", host, askTimeout),
			Cause: "a firewall, a wrong address, or a server that is still loading"}
	case errors.As(err, &dial) && dial.Op == "dial":
		return &SetupError{Saw: host + " cannot be reached", Cause: dial.Err.Error()}
	}
	cause := "something else than a model server listens there, or one that speaks http:// only"
	if base.Scheme == "http" {
		cause = "something else than a model server listens there, or one that wants https://"
	}
	return &SetupError{Saw: host + " closes the connection without an answer", Cause: cause}
}

func unknownName(name string) string {
	if name == "host.docker.internal" {
		return "outside Docker Desktop it has to be given: --add-host=host.docker.internal:host-gateway"
	}
	return "a slip in OPENAI_BASE_URL, or a name that is known in another network or container only"
}

func notRunning(name string) string {
	text := "the model server is not running, or OPENAI_BASE_URL has another port"
	if name, ok := hosts.Name(name); ok && hosts.Local(name) || strings.Contains(name, ":") {
		text += "; in a container " + name +
			" is the container itself: name the other container, or host.docker.internal"
	}
	return text
}

func isTLS(err error) bool {
	var record tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	return errors.As(err, &record) || errors.As(err, &verification) ||
		strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ")
}

func explainTLS(host string, err error) error {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	e := &SetupError{Saw: "TLS with " + host + " fails"}
	switch {
	case errors.As(err, &record):
		e.Saw, e.Cause = host+" does not speak https", "write http:// in OPENAI_BASE_URL"
	case errors.As(err, &unknown):
		e.Cause = "its certificate is signed by nobody who is trusted here; name the authority's file in SSL_CERT_FILE"
	case errors.As(err, &name):
		e.Cause = "its certificate is for other names"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Cause = "its certificate has expired, or the clock of this machine is wrong"
	default:
		e.Cause = "the certificate is not good, or the two have no version of TLS in common"
	}
	return e
}

// hint is the likely cause of a call that failed as if the address were wrong, "" for none.
func (c *Client) hint(failure *reply.Error) string {
	if !errors.Is(failure, errWrongPath) {
		return ""
	}
	if slip := c.slip(); slip != "" {
		return "OPENAI_BASE_URL: " + strings.TrimSuffix(slip, "; ")
	}
	return "OPENAI_BASE_URL is probably not that of a model server: there is no /chat/completions below it"
}

// slip is what is probably wrong with the path of the address by its looks, "" for nothing, as a
// part of a sentence.
func (c *Client) slip() string {
	base, _ := url.Parse(c.cfg.BaseURL) // It has been parsed before.
	path := strings.TrimRight(base.Path, "/")
	for _, end := range endpoints {
		if strings.HasSuffix(path, end) {
			return end + " at its end is too much; "
		}
	}
	switch {
	case strings.HasSuffix(path, "/v1/v1"):
		return "it has /v1 twice; "
	case !version.MatchString(path):
		return "/v1 is probably missing at its end; "
	}
	return ""
}

// version finds the version in the path of an address.
var version = regexp.MustCompile(`/v\d|/openai$`)
