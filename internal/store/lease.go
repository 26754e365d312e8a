package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"

	"parley/ent"
	"parley/internal/pid"
)

// leaseSilence is how long Postgres may owe the answer to a renewal, whose statement takes
// no time. Under load it is late, but a connection that says nothing for so long is lost.
const leaseSilence = 5 * time.Second

// openLease returns a pool of one connection that only renews the lease: a replica whose
// other connections are all at work, or wait for each other's rows, is alive, and must not
// be taken for dead. It is opened when it is first used, and anew when it is broken.
func openLease(settings pq.Config) *sql.DB {
	db := sql.OpenDB(&connector{settings: settings, silence: leaseSilence})
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(30 * time.Minute)
	return db
}

const (
	leaseConflict = ` ON CONFLICT (id) DO UPDATE SET lease_expires_at = excluded.lease_expires_at`
	// leaseSQLite takes both times from this process, whose clock is the database's.
	leaseSQLite = `INSERT INTO replicas (id, address, keys, lease_expires_at, created_at) VALUES (?, ?, ?, ?, ?)` +
		leaseConflict
	leasePostgres = `INSERT INTO replicas (id, address, keys, lease_expires_at, created_at)
VALUES ($1, $2, $3, clock_timestamp() + $4::float8 * interval '1 microsecond', clock_timestamp())` + leaseConflict
)

// KeepLease implements reply.Store. On Postgres it has a connection of its own; where the
// database gives no more of them it waits for one of the pool. On SQLite it waits for the
// writer: its lock on the data folder says already that nobody else writes.
func (s *Store) KeepLease(
	ctx context.Context, replica pid.ID, address, keys string, length time.Duration,
) error {
	if err := s.keepLease(ctx, string(replica), address, keys, length); err != nil {
		return fmt.Errorf("keep lease: %w", err)
	}
	return nil
}

func (s *Store) keepLease(ctx context.Context, replica, address, keys string, length time.Duration) error {
	if s.dialect != dialect.Postgres {
		return s.InTx(s.Urgent(ctx), func(tx *ent.Tx) error {
			now, err := s.NowTx(ctx, tx)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, leaseSQLite, replica, address, keys, now.Add(length), now)
			return err
		})
	}
	_, err := s.watch.lease.ExecContext(ctx, leasePostgres, replica, address, keys, length.Microseconds())
	if isFull(err) {
		_, err = s.write.ExecContext(ctx, leasePostgres, replica, address, keys, length.Microseconds())
	}
	return err
}
