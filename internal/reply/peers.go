package reply

import (
	"context"
	"fmt"
	"slices"

	"parley/ent"
	"parley/ent/replica"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// maxPeers bounds what ReadPeers reads.
const maxPeers = 1000

// Peer is another replica that has a lease.
type Peer struct {
	ID      pid.ID
	Address string
	// Keys is its Config.Keys. Empty: it is of a version that does not say.
	Keys string
	// Older says that it was there before this one. Of two replicas each is older or younger
	// than the other.
	Older bool
}

// ReadPeers returns the other replicas that have a lease, by their age. It asks the database.
func (e *Engine) ReadPeers(ctx context.Context) ([]Peer, error) {
	ctx = viewer.AsSweep(ctx)
	now, err := e.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := e.store.Client().Replica.Query().
		Where(replica.Or(replica.LeaseExpiresAtGT(now), replica.ID(e.id))).
		Order(replica.ByCreatedAt(), replica.ByID()).
		Limit(maxPeers).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read replicas: %w", err)
	}
	return peersOf(rows, e.id), nil
}

// peersOf is all but one of the rows. One that has no row is the youngest.
func peersOf(rows []*ent.Replica, id pid.ID) []Peer {
	var self *ent.Replica
	if i := slices.IndexFunc(rows, func(r *ent.Replica) bool { return r.ID == id }); i >= 0 {
		self = rows[i]
	}
	peers := make([]Peer, 0, len(rows))
	for _, row := range rows {
		if row.ID != id {
			older := self == nil || began(row, self) < 0
			peers = append(peers, Peer{ID: row.ID, Address: row.Address, Keys: row.Keys, Older: older})
		}
	}
	return peers
}
