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
// The database's clock decides, which all replicas share: when families, the grace and
// waits end, what access tokens claim, when they end, and with them the contexts made by
// Service.Bind. The clock of this process only measures how long ago something was here.
//
// Its one invariant: whatever cannot be checked is refused, and nothing stored or
// logged here can be used as a credential.
//
// What is where:
//
//	service.go        Service, and what it needs of the database
//	config.go         its limits
//	account.go        signing up, and the forms of an address, a name and a password
//	signin.go, changepassword.go, refresh.go, session.go   the life of an AuthSession
//	password.go, blocklist.go   hashing, and passwords that are too common
//	keyring.go, token.go   the server's secrets, and the access tokens they sign
//	fingerprint.go    whether replicas have the same ones
//	principal.go      who a token speaks for, in a context
//	external.go, jwks.go   issuers that are not ours, and their keys
//	throttle.go       what attempts cost
//	lookup.go         users for the API
//	operator.go       users for the operator
//	errors.go         refusals
package auth
