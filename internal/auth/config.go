package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// leeway is how far the iat and nbf claims of a token may lie in the future, and its exp in
// the past, for clocks that do not agree: those of external issuers with the database's,
// and the database's with itself, when it is set or another server takes over. Our own
// tokens are signed and verified by the database's clock on every replica.
const leeway = 2 * time.Minute

// NoLimit as one of the numbers of Limits lifts that limit, which is for tests.
const NoLimit = -1

// Limits says how often something may be tried. All are required: each is at least 1,
// or NoLimit where it is a number.
type Limits struct {
	// SignInBurst sign-ins of one address are free, then one each SignInEvery.
	SignInBurst int
	SignInEvery time.Duration
	// SignUpsPerHour is for one address. It also bounds how fast an address can find
	// out who has an account.
	SignUpsPerHour int
	// RefreshesPerHour is for one AuthSession; it is more where tokens live so short that they
	// are replaced more often. Repeats within the grace are free.
	RefreshesPerHour int
	// After FreeFailures wrong passwords for one account the next attempt waits
	// FirstDelay, and twice as long after each further one, up to MaxDelay.
	FreeFailures int
	FirstDelay   time.Duration
	MaxDelay     time.Duration
	// FailuresPerHour is for one account, in any hour.
	FailuresPerHour int
}

func (l Limits) validate() []error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int
	}{
		{"sign-in burst", l.SignInBurst}, {"sign-ups an hour", l.SignUpsPerHour},
		{"refreshes an hour", l.RefreshesPerHour}, {"free failures", l.FreeFailures},
		{"failures an hour", l.FailuresPerHour},
	} {
		if n.value < 1 && n.value != NoLimit {
			errs = append(errs, fmt.Errorf("auth: %s is %d, want at least 1 or NoLimit", n.name, n.value))
		}
	}
	if l.MaxDelay < l.FirstDelay {
		errs = append(errs, errors.New("auth: the longest delay is shorter than the first"))
	}
	return errs
}

// HashCost is the work of one argon2id hash. All fields are required.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// Config is what New needs to know. All is required, except where a field says what it
// is without.
type Config struct {
	// Issuer and Audience are the iss and aud claims of our access tokens.
	Issuer   string
	Audience string
	// SignUpOpen lets anyone make an account.
	SignUpOpen bool
	// AccessTTL is how long an access token is good.
	AccessTTL time.Duration
	// RefreshIdle ends an AuthSession that nobody uses, RefreshAbsolute ends every one.
	RefreshIdle     time.Duration
	RefreshAbsolute time.Duration
	// Grace is how long a direct predecessor is answered with the same successor: two
	// tabs, or a lost response.
	Grace time.Duration
	// BindGrace is how much longer a context from Bind lives. It may be zero.
	BindGrace time.Duration
	// Limits bounds attempts.
	Limits Limits
	// Hash is the work of one password hash.
	Hash HashCost
	// External lists the issuers whose access tokens are accepted besides ours. It may
	// be empty.
	External []ExternalIssuer
	// Transport fetches the key sets of external issuers. Nil means a transport
	// like http.DefaultTransport.
	Transport http.RoundTripper
	// Clock measures how long ago things were here; it decides nothing across replicas.
	// Nil means time.Now.
	Clock func() time.Time
}

// Validate returns everything that is wrong with the configuration, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Issuer == "" {
		errs = append(errs, errors.New("auth: issuer is empty"))
	}
	if c.Audience == "" {
		errs = append(errs, errors.New("auth: audience is empty"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"access token lifetime", c.AccessTTL}, {"refresh idle time", c.RefreshIdle},
		{"refresh absolute time", c.RefreshAbsolute}, {"refresh grace", c.Grace},
		{"sign-in interval", c.Limits.SignInEvery}, {"first delay", c.Limits.FirstDelay},
		{"longest delay", c.Limits.MaxDelay},
	} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("auth: %s is %v, want more than zero", d.name, d.value))
		}
	}
	errs = append(errs, c.Limits.validate()...)
	if c.BindGrace < 0 {
		errs = append(errs, errors.New("auth: bind grace is negative"))
	}
	if c.Grace > time.Minute {
		errs = append(errs, errors.New("auth: refresh grace is longer than a minute"))
	}
	if c.RefreshIdle < c.AccessTTL || c.RefreshAbsolute < c.RefreshIdle {
		errs = append(errs, errors.New(
			"auth: lifetimes must grow from access token to refresh idle to refresh absolute"))
	}
	if err := c.Hash.validate(); err != nil {
		errs = append(errs, err)
	}
	seen := map[string]bool{c.Issuer: true}
	for _, e := range c.External {
		if seen[e.Issuer] {
			errs = append(errs, fmt.Errorf("auth: issuer %q is configured twice", e.Issuer))
		}
		seen[e.Issuer] = true
		errs = append(errs, e.validate())
	}
	return errors.Join(errs...)
}
