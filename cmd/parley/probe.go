package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Limits of a probe. Whoever calls it has one of its own, and 3 seconds or more are usual.
const (
	healthTimeout = 3 * time.Second
	healthMost    = 4 << 10 // bytes of an answer
)

// healthCommand asks the server on this machine how it is. An error is what is wrong with it.
func healthCommand(flags *flag.FlagSet) action {
	live := flags.Bool("live", false, "ask whether it is alive (/healthz): restart it only when this fails")
	return func(ctx context.Context, p *program, _ []string) error { return probe(ctx, p, *live) }
}

func probe(ctx context.Context, p *program, live bool) (err error) {
	addr, err := healthAddr(p.environ)
	if err != nil {
		return err
	}
	path := "/readyz"
	if live {
		path = "/healthz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	// A proxy of the environment is for the world outside, and a redirect is not Parley's.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("health: no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // Read as far as it counts.
	text, err := io.ReadAll(io.LimitReader(response.Body, healthMost))
	if err != nil {
		return fmt.Errorf("health: no whole answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("health: %s: %d %s", path, response.StatusCode, first)
	}
	_, err = p.stdout.Write(text)
	return err
}

// healthAddr is where the server of an environment can be reached from this machine.
func healthAddr(environ []string) (string, error) {
	var c config
	for _, v := range variables {
		if v.name != "PARLEY_ADDR" {
			continue
		}
		var value string
		for _, entry := range environ {
			if name, text, _ := strings.Cut(entry, "="); name == v.name {
				value = strings.TrimSpace(text)
			}
		}
		if err := v.parse(&c, cmp.Or(value, v.value)); err != nil {
			return "", &configError{Name: v.name, Problem: err.Error(), Accepted: plain(v.accepted)}
		}
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", fmt.Errorf("PARLEY_ADDR: %w", err)
	}
	if port == "0" {
		return "", errors.New("health: PARLEY_ADDR has the port 0, which is another one at each start; name a port")
	}
	// What listens everywhere is reached by a loopback address of its family.
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
		if addr.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
