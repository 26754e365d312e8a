// Command perf measures the server from outside, as a process that clients use, beside
// a bare relay, and prints ratios:
//
//	go run ./internal/tools/withpostgres go run ./test/perf -short
//
// Run it from the root of the repository, as make perf and make perf-short do.
//
// # What runs
//
// A scripted model server writes tokens that carry their number and the time at which
// they were written. The relay is the least that can stand between a client and a
// model: it copies the model's stream, with a flush for each event. With -bare there is a bare
// server on each database too: the least that keeps what it is sent by the same statements and
// commits, which is the floor for whatever does that. All are this command again, as processes
// of their own. The server is the real binary, on SQLite
// and on Postgres. The clients are this process: each chat is one WebSocket with one
// subscription to its conversation, on which it also sends. Users come from a token
// issuer of this process, so that no password is hashed and no sign-up counted.
//
// # What it says
//
// Every reply is checked whole: each token once and in order, and the end. A figure
// with a wrong reply beside it is worth nothing, and perf ends with status 1 then. So it does
// when an overload or a soak breaks a rule, as that no reply is begun twice and that nothing
// grows. Times are never judged, but for one ratio within an overload: how long a refusal
// takes beside what is taken. All targets take turns within a mode, round by round, and a
// figure is the median of its rounds: on a machine that others use, only ratios to the relay
// of the same run mean something. With -binary an older server takes part in every round.
//
// # Where things are
//
//   - main.go, modes.go, state.go, overload.go, soak.go: the command, and its modes: of tokens
//     on their way, of processes as they stand, of what is too much, and of what grows.
//   - bench.go, load.go: who takes turns, and what the chats of a turn do.
//   - script.go, model.go, relay.go, bare.go, barestore.go: what the model writes, and the helpers.
//   - reply.go, quantile.go: the check of a reply, and percentiles.
//   - stream.go, socket.go, frame.go: clients of the model and the relay, and of the server.
//   - server.go, version.go, process.go, host_linux.go, host_other.go, inside.go, broker.go,
//     issuer.go: servers, binaries, what /proc, the system and profiles say, what connects
//     replicas, and users.
//   - table.go, profile.go: the rows with their goals, and profiles of the servers.
//
// It owns no rule of the product. Its one invariant: it knows the server by its protocol,
// by /proc and by Go's profiles alone, so that any version can be measured with it.
package main
