package auth

import (
	"context"
	"net/netip"
	"time"

	"parley/internal/pid"
)

// Principal is who an access token speaks for. Authenticate makes it.
type Principal struct {
	UserID pid.ID
	// SessionID is the AuthSession. It is empty for tokens of external issuers.
	SessionID pid.ID
	// Generation is that of the refresh token that came with the access token.
	Generation int
	// ExpiresAt is when the access token ends, by the database's clock.
	ExpiresAt time.Time
}

type principalKey struct{}

// WithPrincipal returns a context that carries p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the principal of ctx, and whether there is one.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

type refusedKey struct{}

// WithRefused returns a context in which a token was presented that is not valid, or no
// longer; why is what Authenticate returned.
func WithRefused(ctx context.Context, why error) context.Context {
	return context.WithValue(ctx, refusedKey{}, why)
}

// Refused returns why the token that was presented is not valid, UNAUTHENTICATED, and nil
// where none was presented. Whoever presented one believes to be signed in, and has to hear
// of it by the first field that asks who that is.
func Refused(ctx context.Context) error {
	why, _ := ctx.Value(refusedKey{}).(error)
	return why
}

type clientAddrKey struct{}

// WithClientAddr returns a context that carries the client's network address, by
// which attempts are counted. The transport decides which address to believe.
func WithClientAddr(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, clientAddrKey{}, addr)
}

// ClientAddr returns the client's network address, or the zero Addr when it is not
// known. The limits of an address do not apply then; those of an account do.
func ClientAddr(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(clientAddrKey{}).(netip.Addr)
	return addr
}

type unlimitedKey struct{}

// Unlimited returns a context in which sign-ups and attempts at passwords are not counted,
// and wait longer for their turn to hash: those of the machine that a developer sits at. The
// limits of an AuthSession stay.
func Unlimited(ctx context.Context) context.Context {
	return context.WithValue(ctx, unlimitedKey{}, true)
}

// IsUnlimited reports whether ctx is one that Unlimited returned, or of it.
func IsUnlimited(ctx context.Context) bool {
	unlimited, _ := ctx.Value(unlimitedKey{}).(bool)
	return unlimited
}

// CountedAddr is what is counted for an address: an IPv4 address itself, and the
// /64 of an IPv6 address, since one household or machine has all of it. It is ""
// when the address is not known.
func CountedAddr(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return ""
	}
	if addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}
