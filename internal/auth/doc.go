// Package auth owns accounts and credentials: passwords, access tokens, refresh
// families (AuthSession), the throttles that slow guessing down, and users of
// external issuers. It does not know any transport, and it does not decide what a
// user may do with conversations: that is written in the policies of ent/schema.
//
// How it works: signing in makes an AuthSession and two tokens. The access token
// is a short-lived JWT that names the user and the AuthSession. The refresh token
// is single use: each use gives its one successor, and showing an older one ends
// the family. Revocation is written to the database first and then published as
// fact.AccessRevoked, so that every replica forgets what it has cached and ends
// the contexts made by Service.Bind.
//
// Durable decisions (expiry of families, grace, throttles) are made by the
// database's clock, which all replicas share; only the expiry of an access token
// is compared with the clock of this process.
//
// Its one invariant: whatever cannot be checked is refused, and nothing stored or
// logged here can be used as a credential.
package auth
