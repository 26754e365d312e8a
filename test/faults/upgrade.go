package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"parley/test/faults/client"
	"parley/test/faults/cluster"
	"parley/test/faults/judge"
)

// versionBefore is the commit of the version that an upgrade begins with. It moves on
// with every release.
const versionBefore = "2d862350a734033dd3155c9941f1eb8ae1d21ee3"

// leastGrowth is how often a text must grow before the eyes of somebody who follows it
// from a replica of another version. It may be read from the row, which is written every
// second or so, and followedWords take six seconds.
const (
	leastGrowth   = 3
	followedWords = 200
	followedPace  = 30 * time.Millisecond
)

// runUpgrade runs three replicas of the binary before under load, replaces one after the
// other by the binary after, and judges. While both versions run, replies of either must
// be followed on the other.
func runUpgrade(ctx context.Context, seed uint64, before, after, admin string) (result, error) {
	cfg := cluster.Config{Binary: before, Admin: admin, Replicas: 3, Lease: shortLease, Bus: true, Seed: seed}
	return play(ctx, "upgrade", seed, cfg, func(ctx context.Context, s *scene) error {
		s.counts = make(map[string]int)
		u := &upgrade{scene: s}
		if err := u.signUp(ctx); err != nil {
			return err
		}
		replicas := s.cluster.Replicas
		for n, r := range replicas {
			if err := s.cluster.Replace(ctx, r, after); err != nil {
				return fmt.Errorf("replace %s: %w", r.Name, err)
			}
			s.counts["replace"]++
			if n+1 == len(replicas) {
				break
			}
			if err := u.followAcross(ctx, r, replicas[n+1]); err != nil {
				return err
			}
		}
		s.notes = append(s.notes,
			"a delta on a replica of another version, behind its arrival on the owner: "+distribution(u.lags),
			fmt.Sprintf("%d cursors of the new version were refused by the version before",
				judge.LaterCursors(s.history.All())))
		return nil
	})
}

// upgrade follows replies from one version to the other.
type upgrade struct {
	*scene
	askers [2]*measurement // One for each direction.
	lags   []time.Duration
}

// signUp makes the accounts that ask on the one version and on the other.
func (u *upgrade) signUp(ctx context.Context) error {
	for n := range u.askers {
		account, err := client.SignUp(ctx, replicasOf(u.cluster), u.history, fmt.Sprintf("across%d", n))
		if err != nil {
			return err
		}
		u.askers[n] = &measurement{cluster: u.cluster, load: u.load, user: account,
			random: rand.New(rand.NewPCG(1, uint64(n)))}
	}
	return nil
}

// followAcross has each of two replicas run a reply that is followed on the other, side
// by side.
func (u *upgrade) followAcross(ctx context.Context, newer, older *cluster.Replica) error {
	type direction struct {
		owner, away *cluster.Replica
		near, far   string
		err         error
	}
	ways := [2]direction{{owner: newer, away: older}, {owner: older, away: newer}}
	var following sync.WaitGroup
	for n := range ways {
		following.Go(func() {
			w := &ways[n]
			w.near, w.far, w.err = u.askers[n].watchTwice(ctx, w.owner, w.away, followedWords, followedPace)
		})
	}
	following.Wait()
	records := u.history.All()
	for n, w := range ways {
		if w.err != nil {
			return w.err
		}
		u.counts[[]string{"follow-new-on-old", "follow-old-on-new"}[n]]++
		if grew := judge.Growth(records, w.far); grew < leastGrowth {
			return fmt.Errorf("%s saw the text of a reply on %s grow %d times on %s, want %d", w.far, w.owner.Name,
				grew,
				w.away.Name, leastGrowth)
		}
		u.lags = append(u.lags, judge.Lags(records, w.near, w.far)...)
	}
	return nil
}
