package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/refusal"
)

// Versions returns the ids of what follows each message, on all branches, the oldest first,
// with one query. A message that nothing follows is left out.
func (s *Service) Versions(ctx context.Context, userID pid.ID, parents []pid.ID) (map[pid.ID][]pid.ID, error) {
	rows, err := s.store.Client().Message.Query().
		Where(message.ParentIDIn(parents...), message.UserID(userID)).
		Order(message.ByCreatedAt(), message.ByID()).
		Select(message.FieldID, message.FieldParentID).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	of := make(map[pid.ID][]pid.ID)
	for _, m := range rows {
		of[*m.ParentID] = append(of[*m.ParentID], m.ID)
	}
	return of, nil
}

// VersionCursor is the cursor of a message among the versions of its place.
func VersionCursor(id pid.ID) string { return encodeCursor("v1 " + string(id)) }

// PageOf returns the page of a list of versions. Error: BAD_USER_INPUT, also for the cursor of
// a version that is not there.
func PageOf(versions []pid.ID, args PageArgs) (Page[pid.ID], error) {
	w, err := args.check()
	if err != nil {
		return Page[pid.ID]{}, err
	}
	from, to := 0, len(versions)
	for _, bound := range []struct {
		field  string
		cursor *string
		set    func(at int)
	}{{"after", w.after, func(at int) { from = at + 1 }}, {"before", w.before, func(at int) { to = at }}} {
		if bound.cursor == nil {
			continue
		}
		id, ok := strings.CutPrefix(decodeCursor(*bound.cursor), "v1 ")
		at := slices.Index(versions, pid.ID(id))
		if !ok || at < 0 {
			return Page[pid.ID]{}, refusal.BadInput(bound.field, "is not a cursor of this list")
		}
		bound.set(at)
	}
	items := slices.Clone(versions[from:max(from, to)])
	if w.backward {
		slices.Reverse(items)
	}
	return page(w, items[:min(len(items), w.n+1)]), nil
}
