// Package transport serves a GraphQL schema on one URL by every transport that
// common clients use with their default settings:
//
//   - queries and mutations by POST, queries by GET (GraphQL over HTTP);
//   - subscriptions over WebSocket, by graphql-transport-ws (the npm package
//     graphql-ws) and by the older graphql-ws (subscriptions-transport-ws);
//   - subscriptions over HTTP, as Server-Sent Events (graphql-sse, "distinct
//     connections mode") and as multipart/mixed;subscriptionSpec=1.0 (Apollo).
//
// It is written on gqlgen's executor and knows GraphQL, not what a schema is
// about: who a token belongs to, which pages may call and what may be asked how
// often are answered by its Config.
//
// Its invariants: what a client sent is checked before the executor sees it, and
// is neither echoed nor logged; a stream ends cleanly only when its operation has;
// a client that does not read costs nobody else anything and is let go; no answer is longer
// than Limits.AnswerBytes.
//
// A request comes in by server.go, which checks the origin (origin.go), and goes on
// as an operation over HTTP (http.go, request.go, names.go, negotiate.go, stream.go) or as a socket
// (socket.go, hijack.go, dialect.go, token.go, bucket.go, operation.go, write.go, and
// direct.go with direct_unix.go and direct_other.go for deltas, which are written by who makes
// them). Both
// ask admission.go whether one more may be opened, limits.go, compare.go and documents.go
// whether an operation may run, underway.go whether its user may have one more, and encode.go
// for the bytes of an answer, which compress.go makes fewer. What an answer weighs is counted
// while it is made (answers.go);
// large ones need room (ledger.go), which those that are written slowly give back (paced.go).
// close.go ends them all. What each came to is told by exchange.go, and counted by meters.go.
//
// A socket has a reader and a goroutine for each operation; a timer pings. Those that wait
// for long have begun anew, since a goroutine keeps the deepest stack it has had. A stream
// has the request's goroutine. No lock is held while a client is waited for, but the one that
// orders the writes to that client. Who writes without waiting tries it only.
//
// The sources of its rules are the GraphQL over HTTP draft, the graphql-ws protocol
// document, the graphql-sse protocol document, and Apollo's description of HTTP
// callback-free multipart subscriptions; rules that come from the behaviour of a
// client say so where they stand.
package transport
