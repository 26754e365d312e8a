package deploy_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/upstream/upstreamtest"
	"parley/internal/waittest"
)

// proxies are the proxies that deploy has a configuration for.
var proxies = []struct {
	name string
	// file is in deploy.
	file string
	// places are texts of the file, and what stands in their place; placer knows the names.
	places [][2]string
	// wrap stands around the configuration, which is FILE there.
	wrap string
	// command runs CONFIG.
	command string
}{
	{
		name: "nginx", file: "nginx/parley.conf",
		places: [][2]string{
			{"listen 443 ssl http2;", "listen {{ADDR}} ssl http2;"},
			{"server 127.0.0.1:8080 ", "server {{UPSTREAM}} "},
			{"/etc/ssl/chat.example.com.pem", "{{CERT}}"},
			{"/etc/ssl/chat.example.com.key", "{{KEY}}"},
		},
		wrap: `daemon off;
pid {{DIR}}/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path {{DIR}}/body;
	proxy_temp_path {{DIR}}/proxy;
	fastcgi_temp_path {{DIR}}/fastcgi;
	uwsgi_temp_path {{DIR}}/uwsgi;
	scgi_temp_path {{DIR}}/scgi;
	include FILE;
}
`,
		command: "nginx -e stderr -p {{DIR}} -c CONFIG",
	},
	{
		name: "haproxy", file: "haproxy/haproxy.cfg",
		places: [][2]string{
			{"bind :443 ", "bind {{ADDR}} "},
			{"/etc/haproxy/chat.example.com.pem", "{{BOTH}}"},
			{"server parley1 127.0.0.1:8080", "server parley1 {{UPSTREAM}}"},
		},
		command: "haproxy -db -f CONFIG",
	},
	{
		name: "caddy", file: "caddy/Caddyfile",
		places: [][2]string{
			// A certificate of its own would need a name that the world knows.
			{"{$SITE:chat.example.com} {\n", "https://chat.example.com:{{PORT}} {\n\tbind 127.0.0.1\n\ttls {{CERT}} {{KEY}}\n"},
			{"{$UPSTREAMS:127.0.0.1:8080}", "{{UPSTREAM}}"},
			{"# Caddy before Parley", "{\n\tadmin off\n\tauto_https disable_redirects\n}\n# Caddy before Parley"},
		},
		command: "caddy run --adapter caddyfile --config CONFIG",
	},
}

// Each proxy hands on each piece of a reply at once, on each transport. The model sends the
// next piece only when the client has the one before, so a proxy that holds one back for
// another ends the test.
func TestProxies(t *testing.T) {
	t.Parallel()
	model, baseURL := upstreamtest.Start(t)
	parley := startParley(t, "OPENAI_API_KEY=x", "OPENAI_BASE_URL="+baseURL, "PARLEY_MODEL=test")
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			addr := freeAddr(t)
			put := placer(t, dir, addr, parley.addr)
			config := place(t, p.file, p.places, put)
			file := write(t, dir, "part.conf", config)
			if p.wrap != "" {
				file = write(t, dir, "whole.conf", put.Replace(strings.ReplaceAll(p.wrap, "FILE", file)))
			}
			command := put.Replace(strings.ReplaceAll(p.command, "CONFIG", file))
			startProgram(t, dir, strings.Fields(command)...)
			c := newClient(t, addr)
			waittest.Until(t, "the proxy is ready", func() bool { return c.get("/readyz") == http.StatusOK })
			known := func() int { return strings.Count(parley.out.String(), "address="+clientIP) }
			before := known()
			c.signUp(t, p.name+"@example.com")
			// The server counts by the client's address, not by the proxy's.
			waittest.Until(t, "the server knows a sign-up from "+clientIP, func() bool { return known() == before+1 })
			c.staysSignedIn(t, p.name+"@example.com")
			for _, transport := range []struct {
				name   string
				follow func(t *testing.T, id string) stream
			}{
				{"WebSocket", c.socket}, {"Server-Sent Events", c.events}, {"multipart", c.parts},
			} {
				t.Run(transport.name, func(t *testing.T) {
					pieces := make(chan string)
					model.Next(upstreamtest.Pieces(pieces))
					follow(t, transport.follow(t, c.send(t, "Hello")), pieces)
				})
			}
		})
	}
}

// follow has the model send a piece when the one before has come through.
func follow(t *testing.T, s stream, pieces chan<- string) {
	t.Helper()
	for i := range 5 {
		piece := fmt.Sprintf("piece %d. ", i)
		select {
		case pieces <- piece:
		case <-t.Context().Done():
		}
		for text := ""; !strings.HasSuffix(text, piece); {
			if text = s(t); strings.HasPrefix(text, "MessageFinished") {
				t.Fatalf("the reply ended before %q", piece)
			}
		}
	}
	close(pieces)
	for event := ""; event != "MessageFinished COMPLETED"; {
		event = s(t)
	}
}

// placer puts addresses and files of a test in the place of names.
func placer(t *testing.T, dir, addr, upstream string) *strings.Replacer {
	t.Helper()
	cert, key := certificate(t)
	_, port, _ := strings.Cut(addr, ":")
	return strings.NewReplacer(
		"{{CERT}}", write(t, dir, "cert.pem", cert), "{{KEY}}", write(t, dir, "key.pem", key),
		"{{BOTH}}", write(t, dir, "both.pem", cert+key), "{{DIR}}", dir,
		"{{ADDR}}", addr, "{{PORT}}", port, "{{UPSTREAM}}", upstream)
}

// place reads a file of deploy with its places changed.
func place(t *testing.T, file string, places [][2]string, put *strings.Replacer) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, p := range places {
		if strings.Count(text, p[0]) != 1 {
			t.Fatalf("%s has %q %d times, want it once", file, p[0], strings.Count(text, p[0]))
		}
		text = strings.Replace(text, p[0], put.Replace(p[1]), 1)
	}
	return text
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trusting is how a client speaks to a proxy with the certificate of a test.
func trusting() *tls.Config {
	return &tls.Config{ServerName: site, InsecureSkipVerify: true} // The test made it.
}
