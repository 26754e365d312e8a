package transport

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"parley/internal/refusal"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxErrors bounds the errors of one response: a document of a few hundred bytes
// can be wrong in thousands of places.
const maxErrors = 5

// appendResponse appends a response as JSON. Data is copied as it is: the executor has
// encoded it already, into a buffer it uses again for the next event.
func appendResponse(out []byte, r *graphql.Response, executed bool) ([]byte, error) {
	out, err := appendHead(out, r, executed)
	if err != nil {
		return nil, err
	}
	return appendTail(append(out, r.Data...), r)
}

// appendHead appends what comes before the data. A request that was not executed has no
// data at all, not even null (GraphQL, 7.1).
func appendHead(out []byte, r *graphql.Response, executed bool) ([]byte, error) {
	out = append(out, '{')
	if len(r.Errors) > 0 {
		errors, err := json.Marshal(r.Errors[:min(len(r.Errors), maxErrors)])
		if err != nil {
			return nil, fmt.Errorf("encode errors: %w", err)
		}
		out = append(out, `"errors":`...)
		out = append(out, errors...)
	}
	if executed {
		if len(r.Errors) > 0 {
			out = append(out, ',')
		}
		out = append(out, `"data":`...)
		if len(r.Data) == 0 {
			out = append(out, "null"...)
		}
	}
	return out, nil
}

// appendTail appends what comes behind the data.
func appendTail(out []byte, r *graphql.Response) ([]byte, error) {
	if len(r.Extensions) > 0 {
		extensions, err := json.Marshal(r.Extensions)
		if err != nil {
			return nil, fmt.Errorf("encode extensions: %w", err)
		}
		out = append(out, `,"extensions":`...)
		out = append(out, extensions...)
	}
	return append(out, '}'), nil
}

// coded is an error of this package for the client.
func coded(code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
}

// graphQLError is a refusal for the client.
func graphQLError(why *refusal.Error) *gqlerror.Error {
	return &gqlerror.Error{Message: why.Message, Extensions: why.Extensions()}
}

// refuse answers a request that carries no operation, or one that may not run, with
// one error and no data.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	s.refuseWith(w, r, status, coded(code, message))
}

// refuseHeader refuses a request for what a header says, or does not say, and names the header
// in the log. What it says is its client's, who may have put anything there.
func (s *Server) refuseHeader(w http.ResponseWriter, r *http.Request, status int, header, message string) {
	s.strangers.Report(r.Context(), s.cfg.Log, header, "request refused",
		slog.String("header", header), slog.Int("status", status))
	s.refuse(w, r, status, "BAD_REQUEST", message)
}

// Refuse answers a request for a Server that never comes to it, in the form in which that
// refuses requests. It logs to log that the answer could not be encoded.
func Refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, why *refusal.Error) {
	setSecurityHeaders(w.Header())
	s := &Server{cfg: Config{Log: log}, timing: defaultTiming()}
	s.refuseWith(w, r, status, graphQLError(why))
}

func (s *Server) refuseWith(w http.ResponseWriter, r *http.Request, status int, refusal *gqlerror.Error) {
	f := forResult(parseAccept(r.Header.Values("Accept")))
	if !f.isJSON() {
		f = formatJSON // Whoever does not take JSON reads the status.
	}
	s.writeJSON(w, r, status, f, &graphql.Response{Errors: gqlerror.List{refusal}}, false)
}

// writeJSON answers with one result that is sent as it is.
func (s *Server) writeJSON(
	w http.ResponseWriter, r *http.Request, status int, f format, response *graphql.Response, executed bool,
) {
	s.writeResult(w, r, status, f, response, executed, false)
}

// writeResult answers with one result, compressed where that is allowed and pays.
func (s *Server) writeResult(
	w http.ResponseWriter, r *http.Request, status int, f format, response *graphql.Response,
	executed, compress bool,
) {
	head, data, tail, err := split(nil, response, executed)
	if err != nil {
		s.cfg.Log.ErrorContext(r.Context(), "response not encoded", "err", err)
		status, data, tail = http.StatusInternalServerError, nil, nil
		head = []byte(`{"errors":[{"message":"Internal error.","extensions":{"code":"INTERNAL"}}]}`)
	}
	e := exchangeOf(r.Context())
	e.Status = status
	e.fails(response.Errors)
	w.Header().Set("Content-Type", f.contentType())
	// A client that does not take the answer must not hold what made it. None of the
	// errors matters: it has gone.
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	total := len(head) + len(data) + len(tail)
	if compress && total >= worthwhile && r.Method != http.MethodHead && AcceptsGzip(r.Header) &&
		s.writeCompressed(w, control, status, head, data, tail) {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(total))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		head, data, tail = nil, nil, nil
	}
	_ = s.writePaced(w, control, head, data, tail)
}

// split is a response in the parts it is written in, so that long data is not copied: what
// is appended to head, the data, and what comes behind it. A short one is all in head.
func split(head []byte, r *graphql.Response, executed bool) (_, data, tail []byte, err error) {
	if len(r.Data) <= maxKept {
		head, err = appendResponse(head, r, executed)
		return head, nil, nil, err
	}
	if head, err = appendHead(head, r, executed); err != nil {
		return nil, nil, nil, err
	}
	tail, err = appendTail(nil, r)
	return head, r.Data, tail, err
}
