package bus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"parley/internal/bus"
	"parley/internal/bus/bustest"
)

// selfSigned has a server show a certificate that nobody vouches for.
func selfSigned(t *testing.T) func(*natsserver.Options) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *natsserver.Options) {
		o.TLS = true
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	}
}

// Who shows no certificate that can be verified is told from one who is not there, and that
// is over when the right server comes.
func TestNotTrusted(t *testing.T) {
	t.Parallel()
	tlsOf := func(srv *natsserver.Server) string { return "tls://" + srv.Addr().String() }
	signed, plain := bustest.Start(t, selfSigned(t)), bustest.Start(t)
	for _, tt := range []struct{ name, url, why string }{
		{"tls and a stranger's certificate", tlsOf(signed), "certificate"},
		{"nats and a stranger's certificate", "nats://" + signed.Addr().String(), "certificate"},
		{"tls and no certificate", tlsOf(plain), "no TLS"},
	} {
		var log logs
		n := connect(t, to(tt.url), logTo(&log))
		eventually(t, tt.name, func() bool { return strings.Contains(n.Distrusted(), tt.why) })
		eventually(t, tt.name+" is logged", func() bool { return log.count("NATS is not trusted") == 1 })
		if n.Connected() || log.count("cannot be reached") > 0 {
			t.Errorf("%s: connected %v, log %s", tt.name, n.Connected(), log.text.String())
		}
	}
	addr := signed.Addr()
	n := connect(t, to("nats://"+addr.String()))
	eventually(t, "it is not trusted", func() bool { return n.Distrusted() != "" })
	bustest.Stop(signed)
	bustest.Start(t, onPort(addr))
	eventually(t, "it is trusted", func() bool { return n.Connected() && n.Distrusted() == "" })

	url := tlsOf(plain)
	bustest.Stop(plain)
	var log logs
	away := connect(t, to(url), logTo(&log))
	eventually(t, "nobody is there", func() bool { return log.count("cannot be reached") > 0 })
	if why := away.Distrusted(); why != "" {
		t.Errorf("a server that is away is not trusted: %s", why)
	}
}

func TestUnverified(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"nats://127.0.0.1:4222": "", "nats://localhost": "", "nats://[::1]:4222": "", "tls://nats.example.com": "",
		"nats://nats.example.com":          "nats.example.com",
		"nats://user:hunter2@10.0.0.1:422": "10.0.0.1:422",
		"tls://a, nats://b:1,nats://c":     "b:1 c",
	} {
		if got := strings.Join(bus.Unverified(list), " "); got != want {
			t.Errorf("%s: got %q, want %q", list, got, want)
		}
	}
}
