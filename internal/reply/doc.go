// Package reply owns the life of a running reply: its live text, the checkpoints
// that keep it, the lease of the replica that runs it, takeover after a crash,
// stopping, and the watchers that see it grow. It declares Upstream, the model
// server it calls, and Store, what it needs of the database. It does not decide
// when a reply may start (chat does) and knows no transport.
//
// A reply is a few texts, one for each Channel, that only grow. Positions in this
// package are bytes on rune boundaries. The only concession to clients is that a
// live text can say how many UTF-16 units lie before a position, because counting
// them again for every watcher would cost a scan of the whole text.
//
// Its one invariant: only the owner of a reply, at its current attempt, changes
// the reply's row, and a final status never changes.
//
// # From the model to a watcher
//
//   - upstream.go, code.go, parameters.go, citation.go: what a model server is asked and may answer.
//   - attempt.go, run.go, finish.go, queue.go: one run of the model, from Prepare over the
//     call to the final write, which starts the reply that waits behind it.
//   - context.go: how much of a conversation a reply is made from.
//   - continue.go: replies that begin with the text of another one.
//   - text.go, channel.go, live.go, pace.go: the growing texts, how watchers are woken, and how
//     quick a reply was.
//   - attach.go, wait.go, read.go, cursor.go: a Watcher takes what lies behind its position;
//     others wait for the end, or look once.
//   - direct.go: a delta is told to a Watcher that waits by who writes the reply.
//
// # What an engine is made of
//
//   - engine.go, config.go, life.go, host.go: what is started and stopped, and what all
//     parts share.
//   - places.go, lag.go: how many replies this replica takes on, and how far it is behind.
//   - attempts.go: the attempts of this replica, by reply.
//   - lease.go, replica.go, peers.go: this replica's right to its replies, its row, and those
//     of others.
//   - checkpoint.go: stores running text.
//   - watch.go: looks for own rows that are to be stopped, are gone, or that nothing runs.
//   - sweeper.go, takeover.go: takes over the replies of the dead and those that were
//     released; vigil.go says who is dead, heir.go who takes what was released.
//   - mirrors.go, mirror.go, merge.go: copies of what other replicas write, and the one rule
//     by which pieces are joined.
//   - publish.go, wire.go: gives the own text to other replicas.
//   - meters.go: what is counted.
//   - store.go, predicate.go, usage.go: the database, and what is counted there.
//   - withheld.go: the replies whose questions no model is sent any more.
//   - aside.go, title.go, titletext.go, summary.go: names and summaries, made beside the
//     replies and bounded for themselves.
//
// # Goroutines
//
// Start makes one for each of lease.keep, sweeper.run, saver.run, ownRows.run and
// Engine.listen, which life restarts after a panic. While it runs each attempt has one
// (Attempt.Go), and one more while other replicas are interested (Attempt.publish). Each
// mirror has one (mirror.follow) while it is watched, and each aside that runs. A Watcher has
// none: whoever calls Next or Poll does its work, or who writes the reply. Stop waits for all of them, attempts first.
//
// # Locks
//
// In the order in which they may be held together:
//
//	mirrors.mu or asides.mu, then attempts.mu or life.mu, then live.mu
//	Watcher.waits, then live.mu
//
// Who writes a reply only tries Watcher.waits, and holds it while the watcher's client is
// written to without waiting. publisher.mu and places.mu are held alone. None of them is held
// while the database, the bus, the wire or the model is called.
package reply
