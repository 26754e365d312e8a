package transport

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// guest is a member that does nothing.
type guest struct{ name string }

func (*guest) retire() {}

func TestPlaces(t *testing.T) {
	t.Parallel()
	a := newAdmission(2, 3)
	for _, kind := range []struct {
		name  string
		limit int
		take  func(string) *denial
		leave func(string)
	}{{"address", 2, a.takeAddr, a.leaveAddr}, {"user", 3, a.takeUser, a.leaveUser}} {
		for range kind.limit {
			if why := kind.take("x"); why != nil {
				t.Fatalf("%s: got %+v, want a place", kind.name, why)
			}
		}
		if why := kind.take("x"); why != deniedFull {
			t.Errorf("%s: got %+v beyond the limit, want deniedFull", kind.name, why)
		}
		if why := kind.take("y"); why != nil {
			t.Errorf("%s: got %+v for another one, want a place", kind.name, why)
		}
		kind.leave("x")
		if why := kind.take("x"); why != nil {
			t.Errorf("%s: got %+v after one has left, want a place", kind.name, why)
		}
		for range 10 {
			if why := kind.take(""); why != nil {
				t.Fatalf("%s: got %+v without a name, want no limit", kind.name, why)
			}
		}
		kind.leave("")
		for range kind.limit {
			kind.leave("x")
		}
		kind.leave("y")
	}
	if len(a.byAddr)+len(a.byUser) != 0 {
		t.Errorf("%v and %v are left of those who have gone", a.byAddr, a.byUser)
	}
}

// An office behind one address is let in by users: each who is known makes room for the
// next one who is not yet.
func TestIdentify(t *testing.T) {
	t.Parallel()
	a := newAdmission(1, 2)
	for i := range 50 {
		user := strconv.Itoa(i)
		if why := a.takeAddr("office"); why != nil {
			t.Fatalf("user %s: got %+v, want a place of the address", user, why)
		}
		if why := a.identify("office", user); why != nil {
			t.Fatalf("user %s: got %+v, want a place of the user", user, why)
		}
	}
	if len(a.byAddr) != 0 || len(a.byUser) != 50 {
		t.Errorf("%d addresses and %d users are counted, want none and 50", len(a.byAddr), len(a.byUser))
	}
	if why := a.takeAddr("office"); why != nil {
		t.Fatalf("got %+v, want a place of the address", why)
	}
	if why := a.identify("office", ""); why != nil || a.byAddr["office"] != 1 {
		t.Errorf("nobody: got %+v and %v counted, want the place of the address kept", why, a.byAddr)
	}
	if why := a.identify("office", "0"); why != nil {
		t.Errorf("a second socket of a user: got %+v, want a place", why)
	}
	if why := a.takeAddr("office"); why != nil {
		t.Fatalf("got %+v, want a place of the address", why)
	}
	if why := a.identify("office", "0"); why != deniedFull || a.byAddr["office"] != 1 {
		t.Errorf("a third: got %+v and %v counted, want deniedFull and the place of the address kept", why, a.byAddr)
	}
}

func TestPlacesUnderRace(t *testing.T) {
	t.Parallel()
	const limit = 5
	a := newAdmission(limit, limit)
	var all sync.WaitGroup
	var mu sync.Mutex
	var taken int
	for range 50 {
		all.Go(func() {
			if a.takeUser("x") == nil {
				mu.Lock()
				taken++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if taken != limit {
		t.Errorf("%d of 50 at a time got a place, want %d", taken, limit)
	}
}

func TestNobodyEntersAfterClose(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 10)
	stays, goes, late := &guest{"stays"}, &guest{"goes"}, &guest{"late"}
	for _, m := range []member{stays, goes} {
		if why := a.enter(m); why != nil {
			t.Fatalf("got %+v, want it to enter", why)
		}
	}
	a.exit(goes)
	if got := a.close(); !slices.Equal(got, []member{stays}) {
		t.Errorf("close returns %v, want the one that is inside", got)
	}
	if why := a.enter(late); why != deniedRestart {
		t.Errorf("got %+v, want deniedRestart", why)
	}
	a.exit(late)
	if why := a.takeAddr(""); why != deniedRestart {
		t.Errorf("got %+v for an address, want deniedRestart", why)
	}
	if why := a.takeUser("x"); why != deniedRestart {
		t.Errorf("got %+v for a user, want deniedRestart", why)
	}
	// One that got in by its address is told by its own enter.
	if why := a.identify("", "x"); why != nil {
		t.Errorf("got %+v for a user who is known now, want a place", why)
	}
	if got := a.close(); !slices.Equal(got, []member{stays}) {
		t.Errorf("close returns %v when called again, want the same", got)
	}
}

// Every denial must bring a well-behaved client back, by a socket as by a request.
func TestDenials(t *testing.T) {
	t.Parallel()
	s := &Server{meters: newMeters()}
	for _, tt := range []struct {
		why               *denial
		close, status     int
		retryAfter, cause string
		told              string // of the answer's error
	}{
		{deniedFull, 1013, http.StatusTooManyRequests, "5", "Too many sockets", `"retryAfter":5`},
		{deniedRestart, 1012, http.StatusServiceUnavailable, "1", "Service restart", `"code":"UNAVAILABLE"`},
	} {
		if int(tt.why.closeCode) != tt.close || tt.why.closeReason != tt.cause {
			t.Errorf("got close %d %q, want %d %q", tt.why.closeCode, tt.why.closeReason, tt.close, tt.cause)
		}
		w := httptest.NewRecorder()
		s.turnAway(w, httptest.NewRequest(http.MethodGet, "/", nil), tt.why)
		if w.Code != tt.status || w.Header().Get("Retry-After") != tt.retryAfter {
			t.Errorf("got status %d and Retry-After %q, want %d and %q",
				w.Code, w.Header().Get("Retry-After"), tt.status, tt.retryAfter)
		}
		if body := w.Body.String(); !strings.Contains(body, tt.told) {
			t.Errorf("got the answer %s, want %s in it", body, tt.told)
		}
	}
}
