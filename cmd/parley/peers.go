package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"parley/internal/auth"
	"parley/internal/complaint"
	"parley/internal/pid"
	"parley/internal/reply"
)

// peersEvery is how often a replica looks who else is there, peersLimit how long that may
// take.
const (
	peersEvery = 5 * time.Second
	peersLimit = 2 * time.Second
)

// peers compares the keys of this replica with those of the others on its database. Keys
// that overlap are a change of keys under way: it is said, and passes. Where none is shared,
// the users of one replica are nobody at the other; of those two the younger, which is the
// one that was just configured, is not ready.
type peers struct {
	keys    string
	read    func(context.Context) ([]reply.Peer, error)
	log     *slog.Logger
	reading *complaint.Complaint
	// said is what the log says of each, for as long as it is there.
	said map[pid.ID]auth.Agreement

	mu sync.Mutex // guards the fields below
	// reason and notes are what health returns.
	reason string
	notes  []string
}

func newPeers(keys string, read func(context.Context) ([]reply.Peer, error), log *slog.Logger) *peers {
	return &peers{keys: keys, read: read, log: log, reading: complaint.About("looking for other replicas"),
		said: make(map[pid.ID]auth.Agreement)}
}

// health is why this replica should get no requests, "" if nothing speaks against it, and
// what is odd besides.
func (p *peers) health() (reason string, notes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason, p.notes
}

// run looks until ctx ends.
func (p *peers) run(ctx context.Context) {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.look(ctx)
	}
}

// look reads who is there and compares. When it cannot, what it found before stands. It is
// called by one goroutine at a time.
func (p *peers) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, peersLimit)
	defer cancel()
	list, err := p.read(limited)
	p.reading.Report(ctx, p.log, err)
	if err != nil {
		return
	}
	var half, younger bool
	var reason string
	there := make(map[pid.ID]auth.Agreement, len(list))
	for _, peer := range list {
		agreement := auth.CompareKeys(p.keys, peer.Keys)
		there[peer.ID] = agreement
		half = half || agreement == auth.HalfAgree
		if agreement == auth.Disagree {
			if younger = younger || !peer.Older; peer.Older {
				reason = "other replicas of this installation have other keys (PARLEY_AUTH_KEYS)"
			}
		}
		p.say(ctx, peer, agreement)
	}
	p.said = there
	var notes []string
	if younger {
		notes = append(notes, "a replica that came later has other keys (PARLEY_AUTH_KEYS)")
	}
	if half {
		notes = append(notes, "not all replicas accept the key that others sign with (PARLEY_AUTH_KEYS)")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason, p.notes = reason, notes
}

// say logs what has not been said of a replica.
func (p *peers) say(ctx context.Context, peer reply.Peer, agreement auth.Agreement) {
	if p.said[peer.ID] == agreement {
		return
	}
	attrs := []any{"peer", string(peer.ID), "peer_address", peer.Address, "peer_keys", peer.Keys, "keys", p.keys}
	switch agreement {
	case auth.Disagree:
		p.log.ErrorContext(ctx, "another replica has other keys, and refuses the tokens of this one: "+
			"PARLEY_AUTH_KEYS must be the same", append(attrs, "peer_is_older", peer.Older)...)
	case auth.HalfAgree:
		p.log.WarnContext(ctx, "another replica signs with a key that this one does not accept, or the other way round: "+
			"add a key to all replicas before one signs with it", attrs...)
	}
}
