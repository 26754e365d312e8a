package transport

import (
	"fmt"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"parley/internal/refusal"
	"parley/internal/tally"
)

// underway bounds what one user has under way: requests, and subscriptions, which are asked
// for their fields again with each event. It is safe for concurrent use.
type underway struct {
	requests, subscriptions, cost int // The limits.

	limits *tally.Counters

	mu     sync.Mutex // guards the field below
	byUser map[string]load
}

// load is what is under way, and what all its subscriptions cost together.
type load struct{ requests, subscriptions, cost int }

func newUnderway(l Limits, limits *tally.Counters) *underway {
	return &underway{
		limits:   limits,
		requests: l.RequestsPerUser, subscriptions: l.SubscriptionsPerUser, cost: subscribedCost * l.Cost,
		byUser: make(map[string]load),
	}
}

// subscribedCost is how often the cost of one operation all subscriptions of a user may
// have together.
const subscribedCost = 5

// begin counts an operation of a user, or says why there is one too many. Nobody is not
// counted. The caller calls end when it is over.
func (u *underway) begin(user string, op *graphql.OperationContext, cost int) (end func(), full *gqlerror.Error) {
	if user == "" {
		return func() {}, nil
	}
	more := load{requests: 1}
	if isSubscription(op) {
		more = load{subscriptions: 1, cost: cost}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.byUser[user].plus(more)
	switch {
	case now.requests > u.requests:
		u.limits.Of(limitRequests).Inc()
		full = tooMany("requests under way", u.requests, time.Second)
	case now.subscriptions > u.subscriptions:
		u.limits.Of(limitSubscriptions).Inc()
		full = tooMany("subscriptions", u.subscriptions, 5*time.Second)
	case now.cost > u.cost && now.subscriptions > 1:
		u.limits.Of(limitFields).Inc()
		full = tooMany("fields in all subscriptions together", u.cost, 5*time.Second)
	default:
		u.byUser[user] = now
		return func() { u.end(user, more) }, nil
	}
	return func() {}, full
}

func tooMany(what string, limit int, wait time.Duration) *gqlerror.Error {
	return graphQLError(refusal.RateLimited(fmt.Sprintf("A user may have %d %s.", limit, what), wait))
}

func (u *underway) end(user string, less load) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.byUser[user].plus(load{-less.requests, -less.subscriptions, -less.cost})
	if now == (load{}) {
		delete(u.byUser, user)
		return
	}
	u.byUser[user] = now
}

func (a load) plus(b load) load {
	return load{a.requests + b.requests, a.subscriptions + b.subscriptions, a.cost + b.cost}
}
