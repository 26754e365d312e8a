package eliza

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/upstream/completions"
)

// Handler returns a model server with ELIZA as its only model: POST
// …/chat/completions, streamed or not, and GET …/models. It honours max_tokens,
// max_completion_tokens and stop, for which each word is a token, and ignores the
// other parameters. A streamed reply comes word by word with a pause of pace
// between two words, and ends early when the client goes away.
func Handler(pace time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		completions.Models(w, Model, Description)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		serveCompletion(w, r, pace)
	})
	return mux
}

func serveCompletion(w http.ResponseWriter, r *http.Request, pace time.Duration) {
	req, ok := completions.Read(w, r, Model)
	if !ok {
		return
	}
	said := req.Said("user")
	words := strings.SplitAfter(Respond(said), " ")
	words, reason := req.Shape(slices.DeleteFunc(words, func(w string) bool { return w == "" }))
	answer := completions.Begin(w, r, req, "eliza-"+strconv.Itoa(len(said)))
	if !answer.Open() {
		return
	}
	for i, word := range words {
		if i > 0 && !answer.Pause(pace) || !answer.Text(word) {
			return
		}
	}
	answer.End(reason, &completions.Usage{Completion: len(words)})
}
