package store_test

import (
	"context"
	"testing"
	"time"

	"parley/ent/replica"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

// A lease is put off, by the database's clock, and entered where it is missing.
func TestKeepLease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := viewer.AsSweep(t.Context())
		id, other := pid.New(pid.Replica), pid.New(pid.Replica)
		keep := func(id pid.ID, length time.Duration) {
			t.Helper()
			if err := s.KeepLease(ctx, id, "here", "a:1", length); err != nil {
				t.Fatal(err)
			}
		}
		wantEnd := func(id pid.ID, length time.Duration) {
			t.Helper()
			row := s.Client().Replica.GetX(ctx, id)
			now, err := s.Now(ctx)
			if err != nil {
				t.Fatal(err)
			}
			left := row.LeaseExpiresAt.Sub(now)
			if left > length || left < length-time.Minute || row.Address != "here" || row.Keys != "a:1" {
				t.Errorf("got %v with %v left, want %v", row, left, length)
			}
			if age := now.Sub(row.CreatedAt); age < 0 || age > time.Minute {
				t.Errorf("the row is %v old", age)
			}
		}
		keep(id, time.Hour)
		keep(other, 3*time.Hour)
		wantEnd(id, time.Hour)
		keep(id, 2*time.Hour)
		wantEnd(id, 2*time.Hour)
		wantEnd(other, 3*time.Hour)
		s.Client().Replica.Delete().Where(replica.ID(id)).ExecX(ctx)
		keep(id, time.Hour)
		wantEnd(id, time.Hour)
	})
}

// A replica all of whose connections are taken keeps its lease, and again after the
// connection for that was broken.
func TestLeaseBesideThePool(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	cfg.MaxConns = 2
	s := openStore(t, cfg)
	ctx := deadline(t, t.Context())
	id := pid.New(pid.Replica)
	keep := func() error {
		limited, cancel := context.WithTimeout(ctx, waittest.Limit)
		defer cancel()
		return s.KeepLease(limited, id, "", "", time.Hour)
	}
	pool, _ := s.Pools()
	held, err := pool.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	last, err := pool.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	for range 2 {
		if err := keep(); err != nil {
			t.Fatalf("without a connection of the pool: %v", err)
		}
	}
	const leases = ` FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'INSERT INTO replicas%'`
	var pids int
	if err := held.QueryRowContext(ctx, "SELECT count(*)"+leases).Scan(&pids); err != nil || pids != 1 {
		t.Fatalf("%d connections renew leases, %v, want one", pids, err)
	}
	if _, err := held.ExecContext(ctx, "SELECT pg_terminate_backend(pid)"+leases); err != nil {
		t.Fatal(err)
	}
	for err = keep(); err != nil && ctx.Err() == nil; err = keep() {
		t.Log(err)
	}
	if err != nil {
		t.Fatalf("after the connection was broken: %v", err)
	}
}
