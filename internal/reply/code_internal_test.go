package reply

import (
	"errors"
	"fmt"
	"net"
	"testing"
)

func TestSawNoModel(t *testing.T) {
	t.Parallel()
	dial := fmt.Errorf("post: %w", &net.OpError{Op: "dial", Err: errors.New("refused")})
	for _, c := range []struct {
		err  Error
		want bool
	}{
		{Error{Code: CodeUnavailable, Err: dial}, true},
		{Error{Code: CodeUnavailable, Err: &net.OpError{Op: "read", Err: errors.New("reset")}}, false},
		{Error{Code: CodeUnavailable}, false},
		{Error{Code: CodeUnavailable, Status: 500}, false},
		{Error{Code: CodeUnavailable, Status: 503}, true},
		{Error{Code: CodeRateLimited, Status: 429}, true},
		{Error{Code: CodeTimeout}, false},
		{Error{Code: CodeRejected, Status: 400}, false},
		{Error{Code: CodeContentFilter, Status: 400}, false},
	} {
		if got := c.err.sawNoModel(); got != c.want {
			t.Errorf("%v: %v, want %v", &c.err, got, c.want)
		}
	}
}
