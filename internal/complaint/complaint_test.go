package complaint_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"parley/internal/complaint"
)

func TestReport(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	c := complaint.About("the test")
	for _, try := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), nil, ""},
		{over, broken, ""},
		{t.Context(), broken, `level=WARN msg="the test fails, and is tried again" err=broken`},
		{t.Context(), broken, `level=DEBUG msg="the test fails again" err=broken`},
		{over, nil, ""},
		{t.Context(), nil, `level=INFO msg="the test works again"`},
		{t.Context(), nil, ""},
		{t.Context(), broken, `level=WARN msg="the test fails, and is tried again" err=broken`},
	} {
		text.Reset()
		c.Report(try.ctx, log, try.err)
		if got := strings.TrimSpace(text.String()); got != try.want {
			t.Errorf("%v: logged %q, want %q", try.err, got, try.want)
		}
	}
}
