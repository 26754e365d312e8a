package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// serveRelay serves the bare relay until ctx ends: it hands each request on to the model
// server at the address, and copies the answer line by line, with a flush after each
// event. It writes its address as the first line.
func serveRelay(ctx context.Context, model string, out io.Writer) error {
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4096, DisableCompression: true}}
	return serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whole: a body that is still being sent on when the answer begins is cut off.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // The caller has gone.
		}
		request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+model+r.URL.Path,
			bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := web.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }() // Only read.
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		if err := copyLines(w, response.Body); err != nil {
			panic(http.ErrAbortHandler) // A clean end would look like the end of the reply.
		}
	}), out)
}

// copyLines copies to the end of the source. A blank line ends an event and is flushed.
func copyLines(w http.ResponseWriter, from io.Reader) error {
	flush := http.NewResponseController(w).Flush
	lines := bufio.NewReaderSize(from, 4096)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			if _, err := w.Write(line); err != nil {
				return err
			}
			if len(line) == 1 && line[0] == '\n' {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
