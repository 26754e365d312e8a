// Package upstream calls model servers that speak OpenAI's chat completion
// protocol and implements reply.Upstream on top of them.
//
// It owns everything between a prompt and clean pieces of text: the body of the
// request, the HTTP transport and its time limits, the repair of the event
// stream, the translation of every failure into a *reply.Error, retries, the
// retry budget, the circuit breaker and the list of models. It does not own
// conversations, storage, or who may use which model.
//
// Its one invariant: Generate returns a nil error only if the model server said
// that the reply is complete, by a finish reason, by the end marker, or by a count of its
// tokens and a clean end, and then every character of the reply has been written to the
// Output, or Result.Omitted says what has not.
//
// The request travels through three layers, outermost first:
//
//   - Client (client.go) decides how often to try: breaker, retries, budget.
//   - github.com/sashabaranov/go-openai builds the request.
//   - doer (doer.go) sits below go-openai as its HTTPClient. It puts in the
//     body of the request, because go-openai cannot send a zero temperature, and
//     keeps the answer for the Client, because go-openai takes a cut stream for a
//     finished one.
//
// Beside them: config.go (which server, and how patient), router.go (which server for
// which model), body.go (the request), dialect.go (what a server refuses to know of it),
// receive.go, frame.go, carrier.go, parser.go and sse.go (the stream), usage.go, source.go and
// think.go (what it says beside text), skim.go and inflate.go (what is too much of it), sink.go
// (clean pieces), envelope.go, errors.go and classify.go (what an error of a server means),
// said.go (what the operator reads of it), retry.go and breaker.go (when to try again),
// models.go and list.go (what a server offers), check.go and explain.go (what is wrong with its
// address), inprocess.go (a server in this process), meters.go (what is counted).
//
// The folders eliza and script are model servers without a model, served inside the process
// through InProcess: one to talk to, one that brings about every state of a reply.
// completions is the protocol as they speak it; upstreamtest is a scripted model server for tests.
package upstream
