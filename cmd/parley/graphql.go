package main

import (
	"fmt"
	"os"

	"parley/graph"
	"parley/internal/feed"
	"parley/internal/store"
	"parley/internal/transport"
)

// newGraphQL makes the face of the rooms.
func (s *server) newGraphQL(documents *transport.Documents) *transport.Server {
	resolver := &graph.Resolver{
		Accounts: s.auth, Chat: s.chat, Replies: s.replies, Feeds: feed.New(s.store, s.replies, s.bus),
		Site:        newSite(s.cfg),
		Unavailable: store.IsUnavailable, Log: s.log,
	}
	return transport.New(transport.Config{
		Schema:         graph.NewSchema(resolver),
		ErrorPresenter: graph.ErrorPresenter(s.log, store.IsUnavailable),
		Recover:        graph.Recover(s.log),
		Operations:     resolver.Around,
		Authenticate:   s.authenticate,
		ClientAddr:     countedAddr,
		SocketContext:  socketContext,
		RefuseOrigin:   s.cfg.refusesOrigin,
		Development:    s.cfg.Mode == development,
		Limits: transport.Limits{
			Once: []string{"signUp", "signIn", "refreshSession", "changePassword", "sendMessage",
				"regenerateReply", "editMessage", "continueReply", "forkConversation", "addMessages",
				"regenerateName", "summarizeConversation"},
			// The one reads its conversation's newest reply, the other takes a text apart.
			Dear: map[string]int{"contextUse": 20, "citations": 10},

			BodyBytes: s.cfg.bodyBytes(),

			AnswerBytes:    s.cfg.AnswerBytes,
			AnswersPerUser: s.cfg.AnswersPerUser,
			Answers:        s.cfg.Answers,

			RequestsPerUser:      s.cfg.RequestsPerUser,
			SubscriptionsPerUser: s.cfg.SubscriptionsPerUser,

			SocketsPerUser: s.cfg.SocketsPerUser,
			SocketsPerAddr: s.cfg.SocketsPerAddr,
		},
		Documents: documents,
		Ended:     tellAccess(s.cfg, s.log),
		Tracer:    s.tracer,
		Log:       s.log,
	})
}

// readDocuments reads the operations that are known beforehand, if any: the operator's, and
// beside them those of the page, which has to go on where nothing else may run.
func readDocuments(cfg config) (*transport.Documents, error) {
	if cfg.Documents == "" && cfg.DocumentsOnly != on {
		return nil, nil // None are known, which is not an error.
	}
	var manifests [][]byte
	if cfg.Documents != "" {
		manifest, err := os.ReadFile(cfg.Documents)
		if err != nil {
			return nil, fmt.Errorf("PARLEY_DOCUMENTS: %w", err)
		}
		manifests = append(manifests, manifest)
	}
	manifest, err := pageDocuments(cfg)
	if err != nil {
		return nil, err
	}
	if manifest != nil {
		manifests = append(manifests, manifest)
	}
	documents, err := transport.ParseDocuments(manifests...)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_DOCUMENTS: %w", err)
	}
	documents.Only = cfg.DocumentsOnly == on
	return documents, nil
}
