package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"
)

const debugVariable = "PARLEY_METRICS_ADDR"

// debugging are the variables with which a server serves its profiles, which it does in
// development only.
func debugging() []string {
	return []string{"PARLEY_MODE=development", debugVariable + "=" + localAddr()}
}

// inside is what a server holds when nothing happens in it.
type inside struct {
	goroutines  float64
	descriptors float64
	objects     float64 // Of its heap, after a collection.
	heap        float64 // Their bytes.
	kept        float64 // The bytes of the heap that are free and not given back.
	stacks      float64
	resident    float64 // The bytes that the system says it has.
}

// String implements fmt.Stringer.
func (in inside) String() string {
	return fmt.Sprintf("heap %.1f MB in %.0f objects, %.1f MB kept free, %.0f goroutines with %.1f MB, "+
		"%.0f descriptors, resident %.0f MB",
		in.heap/mebibyte, in.objects, in.kept/mebibyte, in.goroutines, in.stacks/mebibyte, in.descriptors,
		in.resident/mebibyte)
}

var (
	totalOfProfile = regexp.MustCompile(`^goroutine profile: total (\d+)`)
	heapObjects    = regexp.MustCompile(`(?m)^# HeapObjects = (\d+)`)
	heapAlloc      = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)`)
	heapIdle       = regexp.MustCompile(`(?m)^# HeapIdle = (\d+)`)
	heapReleased   = regexp.MustCompile(`(?m)^# HeapReleased = (\d+)`)
	stackInUse     = regexp.MustCompile(`(?m)^# Stack = (\d+)`)
)

// look looks into a server, which collects its garbage for it.
func (t *target) look(ctx context.Context) (inside, error) {
	var in inside
	resident, err := residentOf(t.process.pid())
	if err != nil {
		return in, err
	}
	in.resident = float64(resident)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.process.pid()))
	if err != nil {
		return in, err
	}
	in.descriptors = float64(len(files))
	heap, err := t.profile(ctx, "heap?gc=1&debug=1")
	if err != nil {
		return in, err
	}
	goroutines, err := t.profile(ctx, "goroutine?debug=1")
	if err != nil {
		return in, err
	}
	var idle, released float64
	for _, f := range []struct {
		to   *float64
		text []byte
		in   *regexp.Regexp
	}{
		{&in.goroutines, goroutines, totalOfProfile}, {&in.objects, heap, heapObjects}, {&in.heap, heap, heapAlloc},
		{&idle, heap, heapIdle}, {&released, heap, heapReleased}, {&in.stacks, heap, stackInUse},
	} {
		m := f.in.FindSubmatch(f.text)
		if m == nil {
			return in, fmt.Errorf("a profile of %s says nothing of %v", t.name, f.in)
		}
		if *f.to, err = strconv.ParseFloat(string(m[1]), 64); err != nil {
			return in, err
		}
	}
	in.kept = idle - released
	return in, nil
}

// profile reads one of the server's profiles.
func (t *target) profile(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.server.debug+"/debug/pprof/"+name, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", name, response.Status)
	}
	return text, err
}
