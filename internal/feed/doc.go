// Package feed tells a user what happens: in one conversation, its running reply
// included, and in the list of conversations. It owns what a client has been told,
// and no rule of what may be written.
//
// It is built in two halves. The pure one decides: a conversation or a list hears
// inputs (facts, rows that were read, updates of a reply, doubt) and gives events to
// tell and wants to fulfil. It never reads or waits and knows no clock, so that every
// interleaving can be tried out. The other one, Feed, reads and waits.
//
//	event.go         what a feed tells
//	service.go       opens feeds; declares what they need
//	feed.go          the shell: one reader, no goroutine, no lock
//	read.go          the rows a feed reads, by owner
//	shared.go        one look-up for all feeds that hear a fact
//	input.go         inputs, wants, and the phases of a feed
//	doubt.go         when a difference from the database means that a fact was lost
//	conversation.go  the pure state of one conversation
//	line.go          which of its messages the client has been told of
//	list.go          the pure state of the list
//	window.go        the list's latest changes, and how two of them compare
//
// Its one invariant: a feed never shows what is older than what it has shown.
package feed
