package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/auththrottle"
	"parley/internal/pid"
)

const (
	// forgetFailures is the quiet time after which failures no longer count as in a
	// row.
	forgetFailures = time.Hour
	// knownFor is how long an address stays known to an account after its last use.
	knownFor = 30 * 24 * time.Hour
	// throttleKept is how long rows are kept that count nothing any more.
	throttleKept = 24 * time.Hour

	knownPrefix = "known:"
)

// throttle counts attempts in AuthThrottle rows, which all replicas share. An
// attempt is counted in its own committed transaction before any work is done for
// it, so that attempts side by side cannot all be let in by the same count.
type throttle struct {
	store  Store
	limits Limits
	// accessTTL is how long an access token is good.
	accessTTL time.Duration
}

// rule is one limit on one AuthThrottle row.
type rule interface {
	// rowID is the id of the row.
	rowID() string
	// wait is how long the next attempt has to wait; 0 lets it in. The row is nil
	// when there is none.
	wait(row *ent.AuthThrottle, now time.Time) time.Duration
	// take counts one attempt.
	take(row *ent.AuthThrottle, now time.Time) tally
}

// tally is the content of an AuthThrottle row.
type tally struct {
	level        float64
	blockedUntil *time.Time
}

func throttleID(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return kind + hex.EncodeToString(sum[:16])
}

// bucket is a leaking bucket: capacity attempts at once, perSecond in the long run.
type bucket struct {
	id        string
	capacity  float64
	perSecond float64
}

func perHour(id string, n int) bucket {
	return bucket{id: id, capacity: float64(n), perSecond: float64(n) / time.Hour.Seconds()}
}

func (b bucket) rowID() string { return b.id }

func (b bucket) levelAt(row *ent.AuthThrottle, now time.Time) float64 {
	if row == nil {
		return 0
	}
	// A clock that went backwards leaks nothing.
	passed := max(now.Sub(row.UpdatedAt).Seconds(), 0)
	return max(row.Level-passed*b.perSecond, 0)
}

func (b bucket) wait(row *ent.AuthThrottle, now time.Time) time.Duration {
	// The slack is for rounding: a wait that was announced is enough.
	over := b.levelAt(row, now) + 1 - b.capacity
	if over <= 1e-6 {
		return 0
	}
	return time.Duration(math.Ceil(over / b.perSecond * float64(time.Second)))
}

func (b bucket) take(row *ent.AuthThrottle, now time.Time) tally {
	return tally{level: b.levelAt(row, now) + 1}
}

// failures makes attempts wait longer and longer. An attempt counts as a failure
// until it has succeeded.
type failures struct {
	id     string
	limits Limits
}

func (f failures) rowID() string { return f.id }

func (f failures) inARow(row *ent.AuthThrottle, now time.Time) float64 {
	if row == nil || now.Sub(row.UpdatedAt) > forgetFailures {
		return 0
	}
	return row.Level
}

func (f failures) wait(row *ent.AuthThrottle, now time.Time) time.Duration {
	if row == nil || row.BlockedUntil == nil {
		return 0
	}
	return max(row.BlockedUntil.Sub(now), 0)
}

func (f failures) take(row *ent.AuthThrottle, now time.Time) tally {
	t := tally{level: f.inARow(row, now) + 1}
	if over := int(t.level) - f.limits.FreeFailures; over >= 0 {
		delay := f.limits.MaxDelay
		if over < 30 { // Beyond that the shift would overflow.
			delay = min(f.limits.FirstDelay<<over, f.limits.MaxDelay)
		}
		until := now.Add(delay)
		t.blockedUntil = &until
	}
	return t
}

// take counts one attempt against each rule, or against none of them when one
// refuses: then it returns how long to wait and the kind of that rule's row. What is
// unlimited is not counted.
func (t *throttle) take(ctx context.Context, rules []rule) (wait time.Duration, kind string, err error) {
	if len(rules) == 0 || IsUnlimited(ctx) {
		return 0, "", nil
	}
	// In one order everywhere, so that no two transactions wait for each other.
	slices.SortFunc(rules, func(a, b rule) int { return strings.Compare(a.rowID(), b.rowID()) })
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.rowID()
	}
	now, err := t.store.Now(ctx)
	if err != nil {
		return 0, "", err
	}
	// First without a lock: who hammers on a closed door costs one read.
	rows, err := throttleRows(ctx, t.store.Client().AuthThrottle, ids)
	if err != nil {
		return 0, "", err
	}
	if wait, kind = longestWait(rules, rows, now); wait > 0 {
		return wait, kind, nil
	}
	err = t.store.InTx(ctx, func(tx *ent.Tx) error {
		for _, id := range ids {
			if err := t.store.Lock(ctx, tx, id); err != nil {
				return err
			}
		}
		rows, err := throttleRows(ctx, tx.AuthThrottle, ids)
		if err != nil {
			return err
		}
		if wait, kind = longestWait(rules, rows, now); wait > 0 {
			return nil
		}
		for _, r := range rules {
			row := rows[r.rowID()]
			if err := writeTally(ctx, tx, r.rowID(), row, r.take(row, now), now); err != nil {
				return err
			}
		}
		return nil
	})
	return wait, kind, err
}

func throttleRows(
	ctx context.Context, client *ent.AuthThrottleClient, ids []string,
) (map[string]*ent.AuthThrottle, error) {
	rows, err := client.Query().Where(auththrottle.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read throttle: %w", err)
	}
	byID := make(map[string]*ent.AuthThrottle, len(rows))
	for _, row := range rows {
		byID[row.ID] = row
	}
	return byID, nil
}

func longestWait(rules []rule, rows map[string]*ent.AuthThrottle, now time.Time) (longest time.Duration, kind string) {
	for _, r := range rules {
		if wait := r.wait(rows[r.rowID()], now); wait > longest {
			longest = wait
			kind, _, _ = strings.Cut(r.rowID(), ":")
		}
	}
	return longest, kind
}

// writeTally writes under the row's lock; row is nil when there is none yet.
func writeTally(ctx context.Context, tx *ent.Tx, id string, row *ent.AuthThrottle, t tally, now time.Time) error {
	if row == nil {
		err := tx.AuthThrottle.Create().SetID(id).
			SetLevel(t.level).SetNillableBlockedUntil(t.blockedUntil).SetUpdatedAt(now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("write throttle: %w", err)
		}
		return nil
	}
	if row.UpdatedAt.After(now) {
		now = row.UpdatedAt // Another transaction read the clock later and was faster.
	}
	update := tx.AuthThrottle.Update().Where(auththrottle.ID(id)).SetLevel(t.level).SetUpdatedAt(now)
	if t.blockedUntil != nil {
		update.SetBlockedUntil(*t.blockedUntil)
	} else {
		update.ClearBlockedUntil()
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("write throttle: %w", err)
	}
	return nil
}

// addressBucket limits one address, unless the address is unknown or the limit is
// off.
func addressBucket(kind string, addr netip.Addr, capacity int, perSecond float64) []rule {
	key := CountedAddr(addr)
	if key == "" || capacity == NoLimit {
		return nil
	}
	return []rule{bucket{id: throttleID(kind, key), capacity: float64(capacity), perSecond: perSecond}}
}

// signUp counts one sign-up.
func (t *throttle) signUp(ctx context.Context) (time.Duration, string, error) {
	n := t.limits.SignUpsPerHour
	return t.take(ctx, addressBucket("sign-up:", ClientAddr(ctx), n, float64(n)/time.Hour.Seconds()))
}

// refreshesPerToken is how often an access token may be replaced while it is good, whatever
// the limit of an hour.
const refreshesPerToken = 4

// refreshes is the limit on the rotations of one AuthSession, nil when it is off. Tokens of a
// short life are replaced more often.
func (t *throttle) refreshes(id pid.ID) *bucket {
	if t.limits.RefreshesPerHour == NoLimit {
		return nil
	}
	b := perHour(throttleID("refresh:", string(id)),
		max(t.limits.RefreshesPerHour, int(refreshesPerToken*time.Hour/t.accessTTL)))
	return &b
}

// attempt is a password attempt that has been counted as a failure.
type attempt struct {
	throttle *throttle
	// uncounted is whether it is not counted after all, and has nothing to take back.
	uncounted bool
	// guesses and hourly are the rows that count failures; knownID is the row to make
	// when the attempt succeeds, "" when there is none to make.
	guesses, hourly, knownID string
}

// password counts an attempt at the password of an account. It returns how long
// to wait instead when a limit refuses it.
//
// An address that has signed in to the account before is counted by itself: its
// owner can still sign in while somebody elsewhere guesses at the account and is
// made to wait.
func (t *throttle) password(
	ctx context.Context, account string, perAddress []rule,
) (attempt, time.Duration, string, error) {
	if IsUnlimited(ctx) {
		return attempt{throttle: t, uncounted: true}, 0, "", nil
	}
	a := attempt{throttle: t}
	counted := account
	addr := CountedAddr(ClientAddr(ctx))
	if addr != "" {
		counted = account + "\x00" + addr
		a.knownID = knownID(account, addr)
		now, err := t.store.Now(ctx)
		if err != nil {
			return attempt{}, 0, "", err
		}
		known, err := t.store.Client().AuthThrottle.Query().
			Where(auththrottle.ID(a.knownID), auththrottle.UpdatedAtGT(now.Add(-knownFor))).Exist(ctx)
		if err != nil {
			return attempt{}, 0, "", fmt.Errorf("read throttle: %w", err)
		}
		if known {
			a.guesses, a.knownID = a.knownID, ""
		} else {
			counted = account
		}
	}
	if a.guesses == "" {
		a.guesses = throttleID("failures:", counted)
	}
	a.hourly = throttleID("hourly:", counted)
	rules := perAddress
	if t.limits.FreeFailures != NoLimit {
		rules = append(rules, failures{id: a.guesses, limits: t.limits})
	}
	if n := t.limits.FailuresPerHour; n != NoLimit {
		// Half at once and half leaking: in no hour is it more than the whole.
		half := float64(n) / 2
		rules = append(rules, bucket{id: a.hourly, capacity: half, perSecond: half / time.Hour.Seconds()})
	}
	wait, kind, err := t.take(ctx, rules)
	return a, wait, kind, err
}

// succeeded takes the attempt back within tx, since it was none: the password was
// right. The address is known to the account from now on.
func (a attempt) succeeded(ctx context.Context, tx *ent.Tx, now time.Time) error {
	if a.uncounted {
		return nil
	}
	ids := []string{a.guesses, a.hourly}
	if a.knownID != "" {
		ids = append(ids, a.knownID)
	}
	return a.adjust(ctx, tx, ids, now, func(id string, row *ent.AuthThrottle) tally {
		if id == a.hourly && row != nil {
			return tally{level: max(row.Level-1, 0)}
		}
		return tally{}
	})
}

// signedUp makes the address of a sign-up known to the account, within tx.
func (t *throttle) signedUp(ctx context.Context, tx *ent.Tx, account string, now time.Time) error {
	addr := CountedAddr(ClientAddr(ctx))
	if addr == "" {
		return nil
	}
	// The account is new in tx, but rows of an earlier one with its address may be left.
	known := attempt{throttle: t, knownID: knownID(account, addr)}
	return known.adjust(ctx, tx, []string{known.knownID}, now,
		func(string, *ent.AuthThrottle) tally { return tally{} })
}

// knownID is the row that says that an address has signed in to an account.
func knownID(account, addr string) string { return throttleID(knownPrefix, account+"\x00"+addr) }

// withdraw takes the attempt back because nothing was tried in the end.
func (a attempt) withdraw(ctx context.Context) error {
	if a.uncounted {
		return nil
	}
	now, err := a.throttle.store.Now(ctx)
	if err != nil {
		return err
	}
	return a.throttle.store.InTx(ctx, func(tx *ent.Tx) error {
		return a.adjust(ctx, tx, []string{a.guesses, a.hourly}, now, func(id string, row *ent.AuthThrottle) tally {
			if row == nil {
				return tally{}
			}
			t := tally{level: max(row.Level-1, 0)}
			if id == a.guesses && int(t.level) >= a.throttle.limits.FreeFailures {
				t.blockedUntil = row.BlockedUntil
			}
			return t
		})
	})
}

func (a attempt) adjust(
	ctx context.Context, tx *ent.Tx, ids []string, now time.Time, next func(id string, row *ent.AuthThrottle) tally,
) error {
	slices.Sort(ids)
	for _, id := range ids {
		if err := a.throttle.store.Lock(ctx, tx, id); err != nil {
			return err
		}
	}
	rows, err := throttleRows(ctx, tx.AuthThrottle, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		row := rows[id]
		at := now
		if id == a.hourly {
			if row == nil {
				continue
			}
			at = row.UpdatedAt // The bucket leaks from then on.
		}
		if err := writeTally(ctx, tx, id, row, next(id, row), at); err != nil {
			return err
		}
	}
	return nil
}

// forget clears what is counted against an account at unknown addresses, within
// tx. The operator's new password should not have to wait.
func (t *throttle) forget(ctx context.Context, tx *ent.Tx, account string) error {
	ids := []string{throttleID("failures:", account), throttleID("hourly:", account)}
	if _, err := tx.AuthThrottle.Delete().Where(auththrottle.IDIn(ids...)).Exec(ctx); err != nil {
		return fmt.Errorf("clear throttle: %w", err)
	}
	return nil
}

// sweep removes rows that count nothing any more.
func (t *throttle) sweep(ctx context.Context, now time.Time) (int, error) {
	notKnown := func(s *sql.Selector) { s.Where(sql.Not(sql.HasPrefix(s.C(auththrottle.FieldID), knownPrefix))) }
	n, err := t.store.Client().AuthThrottle.Delete().Where(auththrottle.Or(
		auththrottle.UpdatedAtLT(now.Add(-knownFor)),
		auththrottle.And(auththrottle.UpdatedAtLT(now.Add(-throttleKept)), notKnown),
	)).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep throttles: %w", err)
	}
	return n, nil
}
