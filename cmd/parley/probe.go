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

const healthHelp = `Usage: parley health [--live]

Asks the server of this environment's PARLEY_ADDR, on this machine, whether it is ready for
requests (/readyz), prints what it says, and ends with status 0 when it is and 1 when it is not.
It is the probe of an image that has no shell and no curl. No other variable is read.

  --live   ask whether it is alive instead (/healthz): restart it only when this fails
`

// Limits of a probe. Whoever calls it has one of its own, and 3 seconds or more are usual.
const (
	healthTimeout = 3 * time.Second
	healthMost    = 4 << 10 // bytes of an answer
)

// healthCommand asks the server on this machine how it is. An error is what is wrong with it.
func healthCommand(ctx context.Context, environ, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("health", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	live := flags.Bool("live", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(stdout, healthHelp)
		return err
	case err != nil:
		return usageError(fmt.Sprintf("health: %v", err))
	case flags.NArg() > 0:
		return usageError("health takes no arguments")
	}
	addr, err := healthAddr(environ)
	if err != nil {
		return err
	}
	path := "/readyz"
	if *live {
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
	_, err = stdout.Write(text)
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
