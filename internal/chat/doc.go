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
//
// What is where:
//
//	chat.go           Service, its limits, and how facts are published
//	conversation.go   making, changing, deleting and listing conversations
//	message.go        reading messages
//	page.go           pages of lists, and their cursors
//	send.go           SendMessage
//	ask.go            the transaction of every mutation that asks for a reply, and what it
//	                  needs of the database
//	line.go           a conversation's visible line under its lock
//	tree.go           branches, as far as they are arithmetic
//	branch.go         other versions of questions and replies, and the choice of a branch
//	versions.go       reading the versions of a place
//	continue.go       going on with a reply that was cut off
//	history.go        messages put in, corrected and deleted by hand
//	fork.go           copies of conversations
//	keep.go           the transaction of what stores messages and asks no model
//	busy.go           what happens to replies that are unfinished; StopReply
//	once.go           client keys
//	overload.go       when this process takes no more replies
//	limit.go          what one user may not do all at once
//	crowd.go          one user's writes take turns before they take a connection
//	sizes.go          how much users have stored
//	meters.go         what is counted
//	model.go          models, for clients
//	context.go        how long a prompt may be, before anything is stored
//	contextinput.go   what users say about contexts
//	contextuse.go     how full a context is
//	withheld.go       which messages no later prompt holds
//	summaries.go      reading summaries
//	aside.go, pace.go names and summaries that a model makes, and how often
//	input.go          the forms of inputs
//	errors.go         refusals
//	sweep.go          what is removed by and by
//
// It starts no goroutine. Whoever takes several of the database's locks takes the user's
// before the conversation's.
package chat
