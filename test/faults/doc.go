// Command faults proves by fault that Parley keeps its promises. It runs the real server
// as real processes, disturbs them while clients use them, writes down what everybody
// saw, and checks the record against the invariants I1 to I22:
//
//	go run ./internal/tools/withpostgres go run ./test/faults -seeds 1-200 -parallel 4
//
// With -upgrade it replaces replicas of the version before, one after the other, instead
// of injecting faults; the git history must hold that version. With -takeover it measures
// how long replies stand still when their replica is gone.
// Run it from the root of the repository. It needs a Postgres server on which it may
// make databases. The tests of this package run a few schedules in the same way.
//
// # Who does what
//
//	cluster   runs the replicas, their database, NATS, the model server and all links
//	client    sends, watches, stops and deletes, over the real transports
//	nemesis   draws faults from a seed and injects them
//	judge     checks the invariants over a history
//	history   the record that cluster, client and nemesis write and the judge reads
//	script    what a client asks and the model answers
//	wait      waits
//
// The command (main.go) puts them together: schedule.go has one run from an empty database
// to the verdict, rolling.go one that only restarts replicas, upgrade.go one from the
// version before to this one, conclude.go how every run ends, run.go many of them,
// figures.go and measurement.go the times.
//
// # What runs
//
// A cluster is three replicas on one Postgres, with one NATS server, with one that
// loses, doubles and shuffles what is sent, or without; or one replica on SQLite. Each
// has a database of its own, whose every change of a reply a trigger logs, and a
// scripted model server. Each link (client, upstream, postgres, nats) of each replica
// leads through a proxy of its own, which can cut, hang, half-close, refuse and delay
// it. The server is built with the tag failpoints.
//
// A load is users whose clients send, in parallel and again, through whichever
// replica answers; follow every reply with one to three watchers that leave and come
// back anywhere, with and without cursors, over WebSocket and Server-Sent Events;
// stop replies, have them written again, go on with them, ask differently, choose another
// line, delete messages and conversations, and ask for what is another user's.
//
// A nemesis draws faults from a seed: processes are killed, frozen and asked to end,
// links disturbed, the database taken away from one and from all, its connections ended,
// NATS restarted, failpoints armed. In some schedules the clients ask for much more than
// the replicas take meanwhile; in some, replicas are restarted one after the other and
// nothing else happens.
// When they are over, everything is healed; all replies must become final; every
// reply is followed once more, every conversation read through every replica, all
// replicas end in order and start, and everything is read again.
//
// # What decides
//
// The history is append-only; the judge is a pure function over it, with a rule for each
// invariant, whose doc comment is the promise in words. TestCheck breaks each of them in
// a good history and wants exactly that one reported. Times are reported, never judged,
// but for the bounds that invariants name: leases and deadlines.
//
// # How to read a failure
//
// A violation names its invariant and the ids. The folder that the report names has
// the logs of all processes (r1-2.log is the second process in the place r1) and
// history.jsonl, a record a line in the order in which it was written down. To see one
// reply's story:
//
//	grep -e msg_01… -e '"op":"fault"' history.jsonl
//
// Records of the model's calls and of the database's own log carry the time at which
// they took place and are written at the end: sort by "at". make faults SEEDS=17 runs
// the schedule of a seed again. It draws the same faults; when they hit in the middle
// of what is up to the machine, so that a rare failure may take several runs.
//
// It owns no rule of the product. Its one invariant: nothing here makes a violation
// go away; what a client may not conclude is left open, and everything else counts.
package main
