package reply

import (
	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/internal/prompt"
)

// filtered matches completed replies of which a filter has left nothing. It does not return
// their texts, which may be long.
func filtered() predicate.Message {
	return func(s *sql.Selector) {
		s.Where(sql.And(sql.EQ(s.C(message.FieldStatus), message.StatusCOMPLETED),
			sql.EQ(s.C(message.FieldFinishReason), message.FinishReasonCONTENT_FILTER),
			sql.P(func(b *sql.Builder) { // Both databases have it, and call the other half differently.
				b.WriteString("ltrim(").Ident(s.C(message.FieldContent)).Comma().Arg(whiteSpace).WriteString(") = ''")
			})))
	}
}

// whiteSpace is what strings.TrimSpace takes off.
const whiteSpace = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" +
	"\u2028\u2029\u202f\u205f\u3000"

// Refusing matches the replies of which refuses reports so. It reads no text.
func Refusing() predicate.Message {
	codes := make([]string, len(withholding))
	for i, c := range withholding {
		codes[i] = string(c)
	}
	return message.Or(filtered(), message.And(message.StatusEQ(message.StatusFAILED), message.ErrorCodeIn(codes...)))
}

// refuses reports whether a row is a reply that was refused because of what it was asked, so
// that no model is sent its question.
func refuses(m *ent.Message) bool {
	var why Code
	switch {
	case m.Role != message.RoleASSISTANT:
		return false
	case m.ErrorCode != nil:
		why = Code(*m.ErrorCode)
	case m.FinishReason != nil:
		why = Code(*m.FinishReason)
	}
	return Refused(prompt.StoredStatus(string(m.Status)), why, m.Content)
}
