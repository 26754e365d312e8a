// Package model holds the Go types of the GraphQL types that have none elsewhere.
// All but this file is generated from graph/schema.
package model

import "context"

// Count counts the whole list behind a connection. It is kept beside the page and
// called only when totalCount is selected.
type Count func(ctx context.Context) (int, error)

// Node is a *ent.User, *ent.Conversation, *ent.Message or *ent.Summary. Ent's entities carry no
// methods of GraphQL's, so that the interface can ask for none.
type Node any
