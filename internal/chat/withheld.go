package chat

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

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
	return !withholds(m), false
}

// Withheld tells, of the user's questions with these ids, those that no later prompt holds,
// since their replies failed because of what they say. It makes one query.
func (s *Service) Withheld(ctx context.Context, userID pid.ID, questions []pid.ID) (map[pid.ID]bool, error) {
	replies, err := s.store.Client().Message.Query().
		Where(message.ParentIDIn(questions...), message.UserID(userID), message.Active(true),
			message.RoleEQ(message.RoleASSISTANT), message.Or(message.StatusEQ(message.StatusFAILED), filtered)).
		Select(message.FieldID, message.FieldParentID, message.FieldStatus, message.FieldErrorCode).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the replies to questions: %w", err)
	}
	withheld := make(map[pid.ID]bool)
	for _, m := range replies {
		if m.Status == message.StatusCOMPLETED || withholds(m) {
			withheld[*m.ParentID] = true
		}
	}
	return withheld, nil
}

// filtered finds the replies of which a filter has left nothing. Their texts are not read here:
// they may be long.
func filtered(s *sql.Selector) {
	s.Where(sql.And(sql.EQ(s.C(message.FieldStatus), message.StatusCOMPLETED),
		sql.EQ(s.C(message.FieldFinishReason), message.FinishReasonCONTENT_FILTER),
		sql.P(func(b *sql.Builder) { // Both databases have it, and call the other half differently.
			b.WriteString("ltrim(").Ident(s.C(message.FieldContent)).Comma().Arg(whiteSpace).WriteString(") = ''")
		})))
}

// whiteSpace is what strings.TrimSpace takes off.
const whiteSpace = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
	"\u2028\u2029\u202f\u205f\u3000"

func withholds(m *ent.Message) bool {
	return m.ErrorCode != nil && reply.Code(*m.ErrorCode).WithholdsQuestion()
}
