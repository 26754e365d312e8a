// Package reply owns the life of a running reply: its live text, the checkpoints
// that keep it, the lease of the replica that runs it, takeover after a crash,
// stopping, and the viewers that watch it grow. It declares Upstream, the model
// server it calls, and Store, what it needs of the database. It does not decide
// when a reply may start (chat does) and knows no transport.
//
// Positions in this package are bytes on rune boundaries. The only concession to
// clients is that the live text can say how many UTF-16 units lie before a
// position, because counting them again for every viewer would cost a scan of
// the whole text.
//
// Its one invariant: only the owner of a reply, at its current attempt, changes
// the reply's row, and a final status never changes.
package reply
