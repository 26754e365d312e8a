package cluster

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"parley/internal/waittest"
)

// link is a connection through a proxy to a server that the test plays.
type link struct {
	proxy          *Proxy
	dialler, other net.Conn
}

func newLink(t *testing.T) link {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p, err := newProxy(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	l := link{proxy: p}
	if l.dialler, err = net.Dial("tcp", p.addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.dialler.Close() })
	if l.other, err = server.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.other.Close() })
	for _, c := range []net.Conn{l.dialler, l.other} {
		if err := c.SetDeadline(time.Now().Add(waittest.Limit)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	t.Run("passes both ways, and the end of one", func(t *testing.T) {
		t.Parallel()
		l := newLink(t)
		say(t, l.dialler, "question")
		hear(t, l.other, "question")
		if err := l.dialler.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.other.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the end", err)
		}
		say(t, l.other, "answer")
		hear(t, l.dialler, "answer")
	})
	t.Run("cut resets both sides", func(t *testing.T) {
		t.Parallel()
		l := newLink(t)
		say(t, l.dialler, "question")
		hear(t, l.other, "question")
		l.proxy.Cut()
		for _, c := range []net.Conn{l.dialler, l.other} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
		}
	})
	t.Run("hang holds back, heal delivers", func(t *testing.T) {
		t.Parallel()
		l := newLink(t)
		say(t, l.dialler, "before")
		hear(t, l.other, "before")
		l.proxy.Hang()
		say(t, l.dialler, "held")
		if err := l.other.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := l.other.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Fatal("something passed a link that hangs")
		}
		if err := l.other.SetReadDeadline(time.Now().Add(waittest.Limit)); err != nil {
			t.Fatal(err)
		}
		l.proxy.Heal()
		hear(t, l.other, "held")
	})
}

// TestProxyHalf has the switches that leave a part of the link as it was.
func TestProxyHalf(t *testing.T) {
	t.Parallel()
	t.Run("half-close ends what the dialling side hears", func(t *testing.T) {
		t.Parallel()
		l := newLink(t)
		say(t, l.dialler, "question")
		hear(t, l.other, "question")
		l.proxy.HalfClose()
		if _, err := l.dialler.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the end", err)
		}
		say(t, l.dialler, "more")
		hear(t, l.other, "more")
	})
	t.Run("refuse resets new connections only", func(t *testing.T) {
		t.Parallel()
		l := newLink(t)
		say(t, l.dialler, "question")
		hear(t, l.other, "question")
		l.proxy.Refuse()
		c, err := net.Dial("tcp", l.proxy.addr())
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		if err == nil {
			t.Error("a new connection got through")
		}
		say(t, l.other, "answer")
		hear(t, l.dialler, "answer")
	})
}
