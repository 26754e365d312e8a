package store_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/auththrottle"
	"parley/ent/conversation"
	"parley/ent/conversationdeletion"
	"parley/ent/message"
	entmigrate "parley/ent/migrate"
	"parley/ent/replica"
	"parley/ent/send"
	"parley/ent/summary"
	"parley/ent/usageday"
	"parley/ent/user"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// entity is one Ent type with how to write and read a row of it.
type entity struct {
	table  *schema.Table
	create func(c *ent.Client) any
	get    func(ctx context.Context, c *ent.Client, id pid.ID) (any, error)
	ctx    func(ctx context.Context, owner pid.ID) context.Context // who may write and read it
	empty  func() any
}

func asSignIn(ctx context.Context, _ pid.ID) context.Context { return viewer.AsSignIn(ctx) }
func asSweep(ctx context.Context, _ pid.ID) context.Context  { return viewer.AsSweep(ctx) }

// entities lists all types, parents first.
var entities = map[string]entity{
	"User": {entmigrate.UsersTable, func(c *ent.Client) any { return c.User.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.User.Query().Where(user.ID(id)).Only(ctx)
		}, asSignIn, func() any { return &ent.User{} }},
	"AuthSession": {entmigrate.AuthSessionsTable, func(c *ent.Client) any { return c.AuthSession.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.AuthSession.Query().Where(authsession.ID(id)).Only(ctx)
		}, asSignIn, func() any { return &ent.AuthSession{} }},
	"AuthThrottle": {entmigrate.AuthThrottlesTable, func(c *ent.Client) any { return c.AuthThrottle.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.AuthThrottle.Query().Where(auththrottle.ID(string(id))).Only(ctx)
		}, asSignIn, func() any { return &ent.AuthThrottle{} }},
	"Conversation": {entmigrate.ConversationsTable, func(c *ent.Client) any { return c.Conversation.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.Conversation.Query().Where(conversation.ID(id)).Only(ctx)
		}, viewer.AsUser, func() any { return &ent.Conversation{} }},
	"Message": {entmigrate.MessagesTable, func(c *ent.Client) any { return c.Message.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.Message.Query().Where(message.ID(id)).Only(ctx)
		}, viewer.AsUser, func() any { return &ent.Message{} }},
	"Send": {entmigrate.SendsTable, func(c *ent.Client) any { return c.Send.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.Send.Query().Where(send.ID(id)).Only(ctx)
		}, viewer.AsUser, func() any { return &ent.Send{} }},
	"ConversationDeletion": {entmigrate.ConversationDeletionsTable,
		func(c *ent.Client) any { return c.ConversationDeletion.Create() },
		func(ctx context.Context, c *ent.Client, _ pid.ID) (any, error) { // Ids are numbers.
			return c.ConversationDeletion.Query().Order(conversationdeletion.ByID(sql.OrderDesc())).First(ctx)
		}, viewer.AsUser, func() any { return &ent.ConversationDeletion{} }},
	"UsageDay": {entmigrate.UsageDaysTable, func(c *ent.Client) any { return c.UsageDay.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.UsageDay.Query().Where(usageday.ID(id)).Only(ctx)
		}, viewer.AsUser, func() any { return &ent.UsageDay{} }},
	"Summary": {entmigrate.SummariesTable, func(c *ent.Client) any { return c.Summary.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.Summary.Query().Where(summary.ID(id)).Only(ctx)
		}, viewer.AsUser, func() any { return &ent.Summary{} }},
	"Replica": {entmigrate.ReplicasTable, func(c *ent.Client) any { return c.Replica.Create() },
		func(ctx context.Context, c *ent.Client, id pid.ID) (any, error) {
			return c.Replica.Query().Where(replica.ID(id)).Only(ctx)
		}, asSweep, func() any { return &ent.Replica{} }},
}

// entityNames are the types that the generated client knows.
func entityNames() []string {
	var names []string
	client := reflect.TypeFor[ent.Client]()
	for i := range client.NumField() {
		if name, ok := strings.CutSuffix(client.Field(i).Type.String(), "Client"); ok {
			names = append(names, strings.TrimPrefix(name, "*ent."))
		}
	}
	return names
}

func TestEveryEntityHasARow(t *testing.T) {
	t.Parallel()
	var have []string
	tables := make(map[*schema.Table]bool)
	for name, e := range entities {
		have = append(have, name)
		tables[e.table] = true
	}
	slices.Sort(have)
	if diff := cmp.Diff(entityNames(), have); diff != "" {
		t.Errorf("entities without a row in this test (-client +test):\n%s", diff)
	}
	for _, table := range entmigrate.Tables {
		if !tables[table] {
			t.Errorf("table %s has no row in this test", table.Name)
		}
	}
}

// enums are values of columns that hold one of a few words.
var enums = map[reflect.Type]any{
	reflect.TypeFor[message.Role]():            message.RoleASSISTANT,
	reflect.TypeFor[message.Status]():          message.StatusINTERRUPTED,
	reflect.TypeFor[message.FinishReason]():    message.FinishReasonCONTENT_FILTER,
	reflect.TypeFor[conversation.NameSource](): conversation.NameSourceUSER,
	reflect.TypeFor[message.ContextPolicy]():   message.ContextPolicySUMMARIZE,
	reflect.TypeFor[usageday.Purpose]():        usageday.PurposeSUMMARY,
}

// fill sets every column of an entity. Keys to other rows are in fixed.
func fill(e any, fixed map[string]any, value func(column string, t reflect.Type) any) {
	row := reflect.ValueOf(e).Elem()
	for i := range row.NumField() {
		f := row.Type().Field(i)
		if !f.IsExported() || f.Name == "Edges" {
			continue
		}
		v := row.Field(i)
		if given, ok := fixed[f.Name]; ok {
			v.Set(reflect.ValueOf(given))
			continue
		}
		column, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if column == "-" {
			column = f.Name
		}
		kind := f.Type
		pointer := kind.Kind() == reflect.Pointer
		if pointer {
			kind = kind.Elem()
		}
		filled := value(column, kind)
		if enum, ok := enums[kind]; ok && (filled != nil || !pointer) {
			filled = enum
		}
		switch {
		case filled == nil:
			v.SetZero()
		case pointer:
			p := reflect.New(kind)
			p.Elem().Set(reflect.ValueOf(filled).Convert(kind))
			v.Set(p)
		default:
			v.Set(reflect.ValueOf(filled).Convert(kind))
		}
	}
}

// save writes an entity with the builder's setters and returns what Save returned.
func save(t *testing.T, ctx context.Context, create any, e any) any {
	t.Helper()
	row := reflect.ValueOf(e).Elem()
	builder := reflect.ValueOf(create)
	for i := range row.NumField() {
		f := row.Type().Field(i)
		v := row.Field(i)
		if !f.IsExported() || f.Name == "Edges" || v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		set := builder.MethodByName("Set" + f.Name)
		if !set.IsValid() {
			t.Fatalf("%T has no Set%s", create, f.Name)
		}
		set.Call([]reflect.Value{v})
	}
	out := builder.MethodByName("Save").Call([]reflect.Value{reflect.ValueOf(ctx)})
	if err, _ := out[1].Interface().(error); err != nil {
		t.Fatalf("save %T: %v", e, err)
	}
	return out[0].Interface()
}

// sameRow compares rows as both databases keep them: times to the microsecond.
func sameRow(want, got any) string {
	return cmp.Diff(want, got,
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Edges" }, cmp.Ignore()),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
		cmpopts.IgnoreUnexported(ent.User{}, ent.AuthSession{}, ent.AuthThrottle{}, ent.Conversation{}, ent.Message{},
			ent.ConversationDeletion{}, ent.Send{}, ent.UsageDay{}, ent.Replica{}, ent.Summary{}),
	)
}

var (
	oddZone = time.FixedZone("X Y+3", -(3*3600 + 1234))
	longest = strings.Repeat("ä𝄞\u2028'\"\\%_\u0001\t\n🧑\u200d🚀", 40_000)
)

func TestColumns(t *testing.T) {
	t.Parallel()
	// To the microsecond: beyond it Postgres rounds and SQLite cuts off.
	when := time.Date(2026, 2, 28, 23, 59, 59, 123456000, oddZone)
	variants := map[string]func(column string, t reflect.Type) any{
		"zero values": func(_ string, k reflect.Type) any {
			if k == reflect.TypeFor[time.Time]() {
				return time.Unix(0, 0)
			}
			return reflect.Zero(k).Interface()
		},
		"nothing optional": nil, // Set below: pointers stay nil.
		"full": func(column string, k reflect.Type) any {
			switch {
			case k == reflect.TypeFor[time.Time]():
				return when.Add(time.Duration(len(column)) * (time.Minute + time.Microsecond))
			case k == reflect.TypeFor[pid.ID]():
				return pid.New(pid.Message)
			case k.Kind() == reflect.String:
				return column + " 𝄞 ä \u0001 '\"$1?\\ \u2028"
			case k.Kind() == reflect.Int:
				return 1<<53 + len(column)
			case k.Kind() == reflect.Float64:
				return 0.1 + 1e-17
			case k.Kind() == reflect.Bool:
				return true
			}
			return nil
		},
		"long and old": func(column string, k reflect.Type) any {
			switch {
			case k == reflect.TypeFor[time.Time]():
				return time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)
			case k == reflect.TypeFor[pid.ID]():
				return pid.New(pid.Message)
			case k.Kind() == reflect.String:
				switch column {
				case "content", "reasoning", "salvage", "parameters":
					return longest
				}
				return strings.Repeat("🧑", 200) + fmt.Sprint(column) // Indexed columns have a limit.
			case k.Kind() == reflect.Int:
				return 1<<63 - 1
			case k.Kind() == reflect.Float64:
				return -1.7976931348623157e308
			case k.Kind() == reflect.Bool:
				return true
			}
			return nil
		},
	}
	order := []string{"User", "AuthSession", "AuthThrottle", "Conversation", "Message", "Send",
		"ConversationDeletion", "UsageDay", "Summary", "Replica"}
	for name, value := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				fixed := map[string]any{"ParentID": (*pid.ID)(nil)}
				for _, name := range order {
					e := entities[name]
					id := pid.New(pid.User)
					want := e.empty()
					fixed["ID"] = any(id)
					switch name {
					case "AuthThrottle":
						fixed["ID"] = string(id)
					case "ConversationDeletion":
						fixed["ID"] = 1
					}
					if value != nil {
						fill(want, fixed, value)
					} else {
						fillRequired(want, fixed)
					}
					switch name {
					case "User":
						fixed["UserID"] = id
					case "Conversation":
						fixed["ConversationID"] = id
					case "Message":
						fixed["ParentID"] = &id // The next one, below, has a parent.
						fixed["MessageID"] = id
					}
					owner, _ := fixed["UserID"].(pid.ID)
					ctx := e.ctx(t.Context(), owner)
					saved := save(t, ctx, e.create(s.Client()), want)
					got, err := e.get(ctx, s.Client(), id)
					if err != nil {
						t.Fatalf("%s: read back: %v", name, err)
					}
					if diff := sameRow(want, got); diff != "" {
						t.Errorf("%s reads back differently (-written +read):\n%.2000s", name, diff)
					}
					if diff := sameRow(saved, got); diff != "" {
						t.Errorf("%s: Save returned something else than the next read (-saved +read):\n%.2000s", name,
							diff)
					}
					if name != "Message" {
						continue
					}
					// A child, so that the parent's column is written too.
					child := *want.(*ent.Message)
					child.ID, child.ParentID, child.Active = pid.New(pid.Message), &id, false
					save(t, ctx, e.create(s.Client()), &child)
					got, err = e.get(ctx, s.Client(), child.ID)
					if diff := sameRow(&child, got); diff != "" || err != nil {
						t.Errorf("child message reads back differently: %v\n%.2000s", err, diff)
					}
				}
			})
		})
	}
}

// fillRequired leaves everything nil that may be.
func fillRequired(e any, fixed map[string]any) {
	fill(e, fixed, func(column string, k reflect.Type) any {
		switch {
		case k == reflect.TypeFor[time.Time]():
			return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		case k.Kind() == reflect.String:
			return "x" + column
		}
		return reflect.Zero(k).Interface()
	})
	row := reflect.ValueOf(e).Elem()
	for i := range row.NumField() {
		if v := row.Field(i); row.Type().Field(i).IsExported() && v.Kind() == reflect.Pointer {
			v.SetZero()
		}
	}
}

func TestUpdateWritesWhatCreateWrites(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		m := l.add(message.RoleASSISTANT, message.StatusSTREAMING, "")
		when := time.Date(2026, 5, 6, 7, 8, 9, 1000, oddZone)
		got, err := s.Client().Message.UpdateOne(m).
			SetContent(longest).SetPromptTokens(0).SetErrorCode("").SetFinishedAt(when).SetActive(false).
			Save(u.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got.Content != longest || got.PromptTokens == nil || *got.PromptTokens != 0 || got.ErrorCode == nil ||
			*got.ErrorCode != "" ||
			got.FinishedAt == nil || !got.FinishedAt.Equal(when) || got.Active {
			t.Errorf("got %d bytes, tokens %v, code %v, finished %v, active %v, want what was written",
				len(got.Content), got.PromptTokens, got.ErrorCode, got.FinishedAt, got.Active)
		}
		got, err = s.Client().Message.UpdateOne(m).ClearPromptTokens().ClearErrorCode().ClearFinishedAt().Save(u.ctx)
		if err != nil || got.PromptTokens != nil || got.ErrorCode != nil || got.FinishedAt != nil {
			t.Errorf("got %v, %v, %v, %v, want nulls", got.PromptTokens, got.ErrorCode, got.FinishedAt, err)
		}
	})
}

func TestTimesSortAndCompareExactly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		base := time.Date(2026, 3, 29, 1, 59, 59, 999999000, time.UTC)
		zones := []*time.Location{time.UTC, oddZone, time.FixedZone("", 14*3600), time.FixedZone("UTC", -12*3600)}
		var want []time.Time
		for i := range 12 {
			at := base.Add(time.Duration(i) * time.Microsecond)
			want = append(want, at)
			// Each in another zone, and later ones first.
			at = base.Add(time.Duration(11-i) * time.Microsecond).In(zones[i%len(zones)])
			err := s.Client().Conversation.Create().SetUserID(u.id).SetHeadID("x").SetLastMessageAt(at).Exec(u.ctx)
			if err != nil {
				t.Fatal(err)
			}
		}
		rows, err := s.Client().Conversation.Query().Order(conversation.ByLastMessageAt()).All(u.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []time.Time
		for _, r := range rows {
			got = append(got, r.LastMessageAt.UTC())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("times are out of order (-want +got):\n%s", diff)
		}
		for i, at := range want {
			for _, bound := range []time.Time{at, at.In(oddZone)} {
				equal := s.Client().Conversation.Query().Where(conversation.LastMessageAt(bound)).CountX(u.ctx)
				less := s.Client().Conversation.Query().Where(conversation.LastMessageAtLT(bound)).CountX(u.ctx)
				if equal != 1 || less != i {
					t.Errorf("%v: got %d equal and %d less, want 1 and %d", bound, equal, less, i)
				}
			}
		}
	})
}
