package reply_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// Replicas read of each other what they were configured with, and who was there first.
func TestReadPeers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{Address: "here", Keys: "a:1"}, silent)
		sweep := viewer.AsSweep(t.Context())
		own := s.Client().Replica.GetX(sweep, b.engine.ID())
		if own.Keys != "a:1" || own.Address != "here" {
			t.Errorf("the own row is %v", own)
		}
		enter := func(id pid.ID, keys string, age, lease time.Duration) {
			s.Client().Replica.Create().SetID(id).SetAddress("there").SetKeys(keys).
				SetCreatedAt(own.CreatedAt.Add(-age)).SetLeaseExpiresAt(own.LeaseExpiresAt.Add(lease)).ExecX(sweep)
		}
		older, younger, gone := pid.New(pid.Replica), pid.New(pid.Replica), pid.New(pid.Replica)
		enter(younger, "c:3", -time.Second, time.Hour)
		enter(older, "", time.Second, time.Hour)
		enter(gone, "d:4", time.Second, -10*time.Hour)
		// Of two of the same age the ids decide.
		twins := []pid.ID{pid.ID("rep_" + strings.Repeat("0", 26)), pid.ID("rep_" + strings.Repeat("z", 26))}
		for _, id := range twins {
			enter(id, "b:2", 0, time.Hour)
		}
		got, err := b.engine.ReadPeers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []reply.Peer{
			{ID: older, Address: "there", Older: true},
			{ID: twins[0], Address: "there", Keys: "b:2", Older: true}, {ID: twins[1], Address: "there", Keys: "b:2"},
			{ID: younger, Address: "there", Keys: "c:3"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("peers (-want +got):\n%s", diff)
		}
		s.Client().Replica.DeleteOneID(own.ID).ExecX(sweep)
		if got, err = b.engine.ReadPeers(t.Context()); err != nil || slices.ContainsFunc(got, func(p reply.Peer) bool {
			return !p.Older
		}) {
			t.Errorf("without a row of its own: %v, %v; want all of them older", got, err)
		}
	})
}
