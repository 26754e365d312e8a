package chat

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
)

// SentToModel reports whether the prompts of later replies hold a message, which has its
// text. With open the row alone cannot say: it is a question, and Withheld knows.
func SentToModel(m *ent.Message) (sent, open bool) {
	row := prompt.Row{Role: prompt.StoredRole(string(m.Role)), Status: prompt.StoredStatus(string(m.Status)),
		Content: m.Content}
	switch {
	case !row.IsSent():
		return false, false
	case m.Role == message.RoleUSER:
		return true, true
	}
	return m.ErrorCode == nil || !reply.Code(*m.ErrorCode).WithholdsQuestion(), false
}

// Withheld tells, of the user's questions with these ids, those that no later prompt holds,
// since their replies failed because of what they say. It makes one query.
func (s *Service) Withheld(ctx context.Context, userID pid.ID, questions []pid.ID) (map[pid.ID]bool, error) {
	replies, err := s.store.Client().Message.Query().
		Where(message.ParentIDIn(questions...), message.UserID(userID), message.Active(true),
			message.RoleEQ(message.RoleASSISTANT), reply.Refusing()).
		Select(message.FieldParentID).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the replies to questions: %w", err)
	}
	withheld := make(map[pid.ID]bool)
	for _, m := range replies {
		withheld[*m.ParentID] = true
	}
	return withheld, nil
}
