package deploy_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/test/built"

	"parley/internal/waittest"
)

func TestMain(m *testing.M) { os.Exit(built.Main(m)) }

// server is a running server.
type server struct {
	addr string
	out  *said
}

// startParley starts a server as it stands behind a proxy on the same machine.
func startParley(t *testing.T, settings ...string) server {
	t.Helper()
	path, err := built.Server()
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	out := startProgram(t, t.TempDir(), append([]string{"env", "-i", "PARLEY_ADDR=" + addr, "PARLEY_MODE=production",
		"PARLEY_TRUSTED_PROXIES=127.0.0.1/32", "PARLEY_SIGNUP=open"}, append(settings, path)...)...)
	waitReady(t, addr)
	return server{addr, out}
}

func waitReady(t *testing.T, addr string) {
	t.Helper()
	waittest.Until(t, "the server is ready", func() bool {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// said collects what a program says. It is safe for concurrent use.
type said struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// startProgram runs a program in a folder until the test ends. What it said is shown when
// the test has failed.
func startProgram(t *testing.T, dir string, command ...string) *said {
	t.Helper()
	path := find(t, command[0])
	out := new(said)
	cmd := exec.Command(path, command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // An error means that it has ended.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(waittest.Limit):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%v:\n%s", command, out)
		}
	})
	return out
}

// find looks for a program where Debian has those for root, too.
func find(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range slices.Concat(filepath.SplitList(os.Getenv("PATH")), []string{"/usr/sbin", "/sbin"}) {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path
		}
	}
	t.Fatalf("%s is not installed; make test installs it on Debian and Ubuntu", name)
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// freeAddr is an address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // It has done its work.
	return listener.Addr().String()
}

// certificate makes one for the site, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: site}, DNSNames: []string{site},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", raw)
}

// output runs a program to its end.
func output(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), find(t, name), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
