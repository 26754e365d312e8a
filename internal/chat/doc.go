// Package chat is the domain: conversations, their messages, and sending. It owns
// the transactions and the rules of what may be written when; running a reply is
// package reply's. It knows no transport and no database dialect.
//
// The user on whose behalf a method works is an explicit argument, and is the
// viewer in the context too: every query names the owner, and the privacy
// policies check it a second time.
//
// Its one invariant: after a method has returned a user's message, that message
// and its reply's row are committed.
package chat
