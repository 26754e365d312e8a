package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Defaults of Config.
const (
	// DefaultAccessTTL bounds how long a stolen access token is good when nobody
	// notices.
	DefaultAccessTTL = 15 * time.Minute
	// DefaultRefreshIdle ends an AuthSession that nobody uses.
	DefaultRefreshIdle = 7 * 24 * time.Hour
	// DefaultRefreshAbsolute ends every AuthSession.
	DefaultRefreshAbsolute = 30 * 24 * time.Hour
	// DefaultGrace is how long the direct predecessor of a refresh token is answered
	// with the same successor: two tabs, or a lost response.
	DefaultGrace = 10 * time.Second
)

// maxLeeway is how far an iat or nbf claim may lie in the future, for clocks that
// do not agree. exp gets none: a client refreshes a little early then.
const maxLeeway = 30 * time.Second

// Defaults of Limits.
const (
	// DefaultSignInBurst and DefaultSignInEvery bound sign-ins of one address.
	DefaultSignInBurst = 30
	DefaultSignInEvery = 3 * time.Second
	// DefaultSignUpsPerHour bounds sign-ups of one address. It also bounds how fast
	// an address can find out who has an account.
	DefaultSignUpsPerHour = 10
	// DefaultRefreshesPerHour bounds the rotations of one AuthSession.
	DefaultRefreshesPerHour = 30
	// DefaultFreeFailures is how many wrong passwords in a row cost no wait.
	DefaultFreeFailures = 5
	// DefaultFirstDelay is the wait after that; it doubles with every failure.
	DefaultFirstDelay = time.Second
	// DefaultMaxDelay is the longest wait: an account is never locked for good.
	DefaultMaxDelay = 15 * time.Minute
	// DefaultFailuresPerHour bounds wrong passwords for one account.
	DefaultFailuresPerHour = 100
)

// Limits says how often something may be tried. Zero means the default, and a
// negative number means no limit, which is for tests.
type Limits struct {
	// SignInBurst sign-ins of one address are free, then one each SignInEvery.
	SignInBurst int
	SignInEvery time.Duration
	// SignUpsPerHour is for one address.
	SignUpsPerHour int
	// RefreshesPerHour is for one AuthSession. Repeats within the grace are free.
	RefreshesPerHour int
	// After FreeFailures wrong passwords for one account the next attempt waits
	// FirstDelay, and twice as long after each further one, up to MaxDelay.
	FreeFailures int
	FirstDelay   time.Duration
	MaxDelay     time.Duration
	// FailuresPerHour is for one account, in any hour.
	FailuresPerHour int
}

// HashCost is the work of one argon2id hash. Zero fields mean the defaults, the
// OWASP minimum: 19456 KiB, 2 passes, 1 lane.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// Config is what New needs to know. Zero fields mean the defaults above.
type Config struct {
	// Issuer and Audience are the iss and aud claims of our access tokens.
	Issuer   string
	Audience string
	// SignUpOpen lets anyone make an account.
	SignUpOpen bool
	// AccessTTL is how long an access token is good.
	AccessTTL time.Duration
	// RefreshIdle and RefreshAbsolute end an AuthSession.
	RefreshIdle     time.Duration
	RefreshAbsolute time.Duration
	// Grace is how long a direct predecessor is answered with the same successor.
	Grace time.Duration
	// BindGrace is how much longer than its access token a context from Bind lives.
	BindGrace time.Duration
	// Limits bounds attempts.
	Limits Limits
	// Hash is the work of one password hash.
	Hash HashCost
	// External lists the issuers whose access tokens are accepted besides ours.
	External []ExternalIssuer
	// Transport fetches the key sets of external issuers. Nil means a transport
	// like http.DefaultTransport.
	Transport http.RoundTripper
	// Clock is the clock of this process. Nil means time.Now.
	Clock func() time.Time
}

func orDefault[T int | time.Duration | uint8 | uint32](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c Config) withDefaults() Config {
	orDefault(&c.AccessTTL, DefaultAccessTTL)
	orDefault(&c.RefreshIdle, DefaultRefreshIdle)
	orDefault(&c.RefreshAbsolute, DefaultRefreshAbsolute)
	orDefault(&c.Grace, DefaultGrace)
	orDefault(&c.Limits.SignInBurst, DefaultSignInBurst)
	orDefault(&c.Limits.SignInEvery, DefaultSignInEvery)
	orDefault(&c.Limits.SignUpsPerHour, DefaultSignUpsPerHour)
	orDefault(&c.Limits.RefreshesPerHour, DefaultRefreshesPerHour)
	orDefault(&c.Limits.FreeFailures, DefaultFreeFailures)
	orDefault(&c.Limits.FirstDelay, DefaultFirstDelay)
	orDefault(&c.Limits.MaxDelay, DefaultMaxDelay)
	orDefault(&c.Limits.FailuresPerHour, DefaultFailuresPerHour)
	orDefault(&c.Hash.MemoryKiB, 19456)
	orDefault(&c.Hash.Passes, 2)
	orDefault(&c.Hash.Lanes, 1)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate returns everything that is wrong with the configuration, or nil.
func (c Config) Validate() error {
	c = c.withDefaults()
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
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("auth: %s is negative", d.name))
		}
	}
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
