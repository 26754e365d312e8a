package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// Distrusted returns why the servers of NATS that this replica reaches are not believed to
// be the right ones, as a phrase: their certificate is not valid, or they have none though
// the URL wants one. "" while that is not so. It does not pass by itself.
func (n *NATS) Distrusted() string {
	if why := n.distrusted.Load(); why != nil {
		return *why
	}
	return ""
}

// onFailure hears that no connection could be made.
func (n *NATS) onFailure(ctx context.Context, err error) {
	why := distrust(err)
	if why == "" {
		n.warn(ctx, "NATS cannot be reached, trying again", err)
		return
	}
	n.distrusted.Store(&why)
	if text := n.safe(err); !n.closing.Load() && n.trouble.isNew(text) {
		n.log.ErrorContext(ctx, "NATS is not trusted: "+why+"; other replicas are heard through the database only",
			"err", text)
	}
}

// distrust says what an attempt to connect has found wrong with who answered, "" if nothing.
func distrust(err error) string {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return "its certificate cannot be verified"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "it has no TLS, which the URL asks for"
	}
	return ""
}

// Unverified lists the hosts of a configuration's URLs that nothing proves to be the right
// ones: those of nats://, which asks for no certificate, on other machines.
func Unverified(list string) []string {
	var hosts []string
	for text := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme != "nats" {
			continue
		}
		host := u.Hostname()
		if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
			continue
		}
		if port := u.Port(); port != "" {
			host = net.JoinHostPort(host, port)
		}
		hosts = append(hosts, host)
	}
	return hosts
}
