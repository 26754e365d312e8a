package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// profiled is how many seconds of a measurement a profile covers, from its begin.
const profiled = 3

// profile keeps a processor profile of what a server does for a measurement, in the folder
// that -profile names; a later round replaces it. Versions without PARLEY_METRICS_ADDR have
// none. The caller calls wait at the end of the measurement.
func (b *bench) profile(ctx context.Context, what string, t *target) (wait func()) {
	if b.options.profiles == "" || t.server == nil || t.server.debug == "" {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		name := strings.NewReplacer(" ", "-", ",", "").Replace(what+" "+t.name) + ".pprof"
		if err := fetchProfile(ctx, t.server.debug, filepath.Join(b.options.profiles, name)); err != nil {
			b.say("  no profile of %s, %s: %v", what, t.name, err)
		}
	}()
	return func() { <-done }
}

func fetchProfile(ctx context.Context, addr, path string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, profiled)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // Read to its end, or of no use.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return os.WriteFile(path, body, 0o600)
}
