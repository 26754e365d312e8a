package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/graph"
	"parley/internal/store/storetest"
)

// ours lists the types of the SDL that are not GraphQL's own, by name.
func ours(schema *ast.Schema) []*ast.Definition {
	var defs []*ast.Definition
	for _, def := range schema.Types {
		if !def.BuiltIn {
			defs = append(defs, def)
		}
	}
	sort.Slice(defs, func(i, j int) bool { return defs[i].Name < defs[j].Name })
	return defs
}

func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	check := func(what, description string) {
		t.Helper()
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
	}
	for _, def := range ours(graph.NewSchema(&graph.Resolver{}).Schema()) {
		check(def.Name, def.Description)
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			check(def.Name+"."+f.Name, f.Description)
			for _, a := range f.Arguments {
				check(def.Name+"."+f.Name+"("+a.Name+")", a.Description)
			}
		}
		for _, v := range def.EnumValues {
			check(def.Name+"."+v.Name, v.Description)
		}
	}
}

// Every input field stands here, so that somebody looks at a new one: none may set
// an owner, a role, a status, an index or a time.
func TestInputFields(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"AddMessagesInput": "conversationId: ID afterMessageId: ID messages: [NewMessageInput!]! clientKey: String " +
			"expectedHeadId: ID",
		"ContinueReplyInput": "messageId: ID! clientKey: String expectedHeadId: ID wait: Boolean model: String " +
			"parameters: ParametersInput",
		"DeleteMessageInput": "messageId: ID!",
		"EditMessageInput": "messageId: ID! content: String! clientKey: String expectedHeadId: ID onBusy: OnBusy " +
			"wait: Boolean model: String parameters: ParametersInput",
		"ForkConversationInput": "messageId: ID! scope: ForkScope name: String clientKey: String",
		"NewMessageInput":       "role: MessageRole! content: String! reasoning: String model: String",
		"RegenerateReplyInput": "messageId: ID! clientKey: String expectedHeadId: ID onBusy: OnBusy wait: Boolean " +
			"model: String parameters: ParametersInput",
		"SelectBranchInput":    "messageId: ID! expectedHeadId: ID",
		"UpdateMessageInput":   "messageId: ID! content: String!",
		"ChangePasswordInput":  "currentPassword: String! newPassword: String!",
		"ContextSettingsInput": "policy: ContextPolicy! turns: Int limitTokens: Int",
		"CreateConversationInput": "name: String model: String systemPrompt: String parameters: ParametersInput " +
			"context: ContextSettingsInput",
		"DeleteConversationInput": "conversationId: ID!",
		"DeleteSummaryInput":      "summaryId: ID!",
		"ParametersInput": "temperature: Float topP: Float maxTokens: Int stop: [String!] seed: Int " +
			"presencePenalty: Float frequencyPenalty: Float responseFormat: ResponseFormatInput " +
			"reasoningEffort: ReasoningEffort verbosity: Verbosity",
		"RefreshSessionInput": "refreshToken: String!",
		"RegenerateNameInput": "conversationId: ID!",
		"ResponseFormatInput": "type: ResponseFormatType! name: String schema: String strict: Boolean",
		"SendMessageInput": "conversationId: ID content: String! clientKey: String expectedHeadId: ID " +
			"onBusy: OnBusy wait: Boolean model: String parameters: ParametersInput",
		"SignInInput":                "email: String! password: String!",
		"SignUpInput":                "email: String! password: String! name: String",
		"StopReplyInput":             "messageId: ID!",
		"SummarizeConversationInput": "conversationId: ID!",
		"UpdateConversationInput": "conversationId: ID! name: String model: String systemPrompt: String " +
			"parameters: ParametersInput context: ContextSettingsInput pinned: Boolean archived: Boolean",
	}
	got := make(map[string]string)
	for _, def := range ours(graph.NewSchema(&graph.Resolver{}).Schema()) {
		if def.Kind != ast.InputObject {
			continue
		}
		var fields []string
		for _, f := range def.Fields {
			fields = append(fields, f.Name+": "+f.Type.String())
			for _, word := range []string{"role", "owner", "user", "status", "index", "At", "attempt", "usage",
				"active", "lease"} {
				// What is put in by hand says who speaks.
				if strings.Contains(f.Name, word) && def.Name+"."+f.Name != "NewMessageInput.role" {
					t.Errorf("%s.%s looks like something only the server may set", def.Name, f.Name)
				}
			}
		}
		got[def.Name] = strings.Join(fields, " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the inputs have changed; look at each new field and add it here (-want +got):\n%s", diff)
	}
}

// What is in no input is refused before anything runs.
func TestForbiddenInputs(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	for _, extra := range []string{
		"role", "userId", "owner", "status", "index", "createdAt", "updatedAt", "attempt", "parentId", "id", "headId",
		"salvage", "nameSource",
	} {
		input := vars{"content": "hello", extra: "SYSTEM"}
		if code := b.post(ada, sendDocument, vars{"input": input}).code(); code != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("sendMessage with %s: got code %q, want GRAPHQL_VALIDATION_FAILED", extra, code)
		}
		document := fmt.Sprintf(`mutation { createConversation(input: {%s: "x"}) { conversation { id } } }`, extra)
		if code := b.post(ada, document, nil).code(); code != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("createConversation with %s: got code %q, want GRAPHQL_VALIDATION_FAILED", extra, code)
		}
	}
	if n := b.ask(ada, `{ conversations { totalCount } }`, nil).at("conversations.totalCount"); n != float64(0) {
		t.Errorf("there are %v conversations, want none", n)
	}
}

// Every mutation takes one input object, or nothing, and returns a payload.
func TestMutationShapes(t *testing.T) {
	t.Parallel()
	for _, f := range graph.NewSchema(&graph.Resolver{}).Schema().Mutation.Fields {
		name := strings.ToUpper(f.Name[:1]) + f.Name[1:]
		if len(f.Arguments) > 1 || len(f.Arguments) == 1 &&
			(f.Arguments[0].Name != "input" || f.Arguments[0].Type.String() != name+"Input!") {
			t.Errorf("%s takes %v, want one argument input: %sInput!", f.Name, f.Arguments, name)
		}
		if got := f.Type.String(); got != name+"Payload!" && got != "AuthPayload!" {
			t.Errorf("%s returns %s, want %sPayload!", f.Name, got, name)
		}
	}
}

func TestSDL(t *testing.T) {
	t.Parallel()
	parsed, err := gqlparser.LoadSchema(&ast.Source{Name: "sdl", Input: graph.SDL()})
	if err != nil {
		t.Fatalf("the SDL does not parse: %v", err)
	}
	want := describe(graph.NewSchema(&graph.Resolver{}).Schema())
	if _, promised := want["@defer"]; promised || len(want["schema"][0]) < 100 {
		t.Errorf("the schema promises @defer (%t), or says nothing of itself: %q", promised, want["schema"])
	}
	// Whoever reads the SDL knows these from the specification; this parser adds one.
	own := describe(parsed)
	delete(own, "@defer")
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("the SDL is not the schema (-schema +SDL):\n%s", diff)
	}
	b := onSQLite(t)
	var introspected struct {
		Data struct {
			Schema struct {
				Description string
				Types       []introspectedType
				Directives  []introspectedDirective
			} `json:"__schema"`
		}
	}
	if err := json.Unmarshal([]byte(b.ask(nobody, introspection, nil).raw), &introspected); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{"schema": {introspected.Data.Schema.Description}}
	for _, d := range introspected.Data.Schema.Directives {
		got["@"+d.Name] = d.lines()
	}
	for _, typ := range introspected.Data.Schema.Types {
		if _, ok := want[typ.Name]; ok {
			got[typ.Name] = typ.lines()
		} else if !strings.HasPrefix(typ.Name, "__") &&
			!slices.Contains([]string{"Int", "Float", "String", "Boolean", "ID"}, typ.Name) {
			t.Errorf("introspection knows a type %s, the SDL does not", typ.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("introspection is not the SDL (-SDL +introspection):\n%s", diff)
	}
}

// In production the schema is not told, neither at once nor by trial and error.
func TestProductionKeepsTheSchema(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{production: true})
	ada := b.signUp("ada")
	for _, document := range []string{introspection, `{ __schema { queryType { name } } }`,
		`{ __type(name: "User") { name fields { name } } }`} {
		a := b.wantCode(ada, "FORBIDDEN", document, nil)
		if strings.Contains(a.raw, `"name"`) {
			t.Errorf("got %s, want nothing of the schema", a.raw)
		}
	}
	for _, document := range []string{
		`{ vewer { id } }`, `{ viewer { emial } }`, `{ conversations(frist: 1) { totalCount } }`, `{ viewer }`,
		`mutation { sendMessage(input: {contnt: "x"}) { reply { id } } }`,
		`mutation { sendMessage(input: {content: "x", onBusy: REJCT}) { reply { id } } }`,
		`mutation { sendMessage(input: {content: "x", onBusy: "REJECT"}) { reply { id } } }`,
		`query($in: SendMesageInput) { viewer { id } }`, `{ node(id: "x") { ... on Usr { id } } }`,
		`{ viewer @inclde(if: true) { id } }`, `{ viewer @include(iff: true) { id } }`,
	} {
		a := b.post(ada, document, nil)
		if len(a.Errors) == 0 || strings.Contains(a.raw, "Did you mean") || strings.Contains(a.raw, "INTERNAL") {
			t.Errorf("%s: got %s", document, a.raw)
		}
	}
	b.ask(ada, `{ __typename viewer { __typename } }`, nil) // Clients need this one.
	if strings.Contains(b.log.String(), "internal error") {
		t.Error("a client's mistakes are logged as ours")
	}
}

// describe writes down all that introspection can say of the types.
func describe(schema *ast.Schema) map[string][]string {
	out := make(map[string][]string)
	for _, def := range ours(schema) {
		lines := []string{string(def.Kind) + " " + def.Description}
		deprecated := func(d ast.DirectiveList) string {
			if found := d.ForName("deprecated"); found != nil {
				return " deprecated " + found.Arguments.ForName("reason").Value.Raw
			}
			return ""
		}
		if d := def.Directives.ForName("specifiedBy"); d != nil {
			lines = append(lines, "specified by "+d.Arguments.ForName("url").Value.Raw)
		}
		for _, name := range def.Interfaces {
			lines = append(lines, "implements "+name)
		}
		if def.Kind == ast.Union || def.Kind == ast.Interface {
			for _, p := range schema.GetPossibleTypes(def) {
				lines = append(lines, "may be "+p.Name)
			}
		}
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			lines = append(lines, "field "+f.Name+" "+f.Type.String()+" "+defaultOf(f.DefaultValue)+" "+
				f.Description+deprecated(f.Directives))
			for _, a := range f.Arguments {
				lines = append(lines, "argument "+f.Name+" "+a.Name+" "+a.Type.String()+" "+defaultOf(a.DefaultValue)+
					" "+a.Description+deprecated(a.Directives))
			}
		}
		for _, v := range def.EnumValues {
			lines = append(lines, "value "+v.Name+" "+v.Description+deprecated(v.Directives))
		}
		slices.Sort(lines)
		out[def.Name] = lines
	}
	out["schema"] = []string{schema.Description}
	for _, d := range schema.Directives {
		lines := []string{fmt.Sprint("directive ", d.IsRepeatable, " ", d.Description)}
		for _, l := range d.Locations {
			lines = append(lines, "on "+string(l))
		}
		for _, a := range d.Arguments {
			lines = append(lines, "argument "+a.Name+" "+a.Type.String()+" "+defaultOf(a.DefaultValue)+" "+
				a.Description)
		}
		slices.Sort(lines)
		out["@"+d.Name] = lines
	}
	return out
}

func defaultOf(v *ast.Value) string {
	if v == nil {
		return "-"
	}
	return v.String()
}

type typeRef struct {
	Kind, Name string
	OfType     *typeRef
}

func (r typeRef) String() string {
	switch r.Kind {
	case "NON_NULL":
		return r.OfType.String() + "!"
	case "LIST":
		return "[" + r.OfType.String() + "]"
	}
	return r.Name
}

type introspectedValue struct {
	Name, Description string
	IsDeprecated      bool
	DeprecationReason string
	Type              typeRef
	DefaultValue      *string
	Args              []introspectedValue
}

func (v introspectedValue) line() string {
	def := "-"
	if v.DefaultValue != nil {
		def = *v.DefaultValue
	}
	return v.Name + " " + v.Type.String() + " " + def + " " + v.Description + v.deprecated()
}

func (v introspectedValue) deprecated() string {
	if v.IsDeprecated {
		return " deprecated " + v.DeprecationReason
	}
	return ""
}

type introspectedDirective struct {
	introspectedValue
	IsRepeatable bool
	Locations    []string
}

func (d introspectedDirective) lines() []string {
	lines := []string{fmt.Sprint("directive ", d.IsRepeatable, " ", d.Description)}
	for _, l := range d.Locations {
		lines = append(lines, "on "+l)
	}
	for _, a := range d.Args {
		lines = append(lines, "argument "+a.line())
	}
	slices.Sort(lines)
	return lines
}

type introspectedType struct {
	Kind, Name, Description   string
	SpecifiedByURL            *string
	Fields, InputFields       []introspectedValue
	EnumValues                []introspectedValue
	Interfaces, PossibleTypes []struct{ Name string }
}

func (typ introspectedType) lines() []string {
	lines := []string{typ.Kind + " " + typ.Description}
	if typ.SpecifiedByURL != nil {
		lines = append(lines, "specified by "+*typ.SpecifiedByURL)
	}
	for _, i := range typ.Interfaces {
		lines = append(lines, "implements "+i.Name)
	}
	for _, p := range typ.PossibleTypes {
		lines = append(lines, "may be "+p.Name)
	}
	for _, f := range append(typ.Fields, typ.InputFields...) {
		lines = append(lines, "field "+f.line())
		for _, a := range f.Args {
			lines = append(lines, "argument "+f.Name+" "+a.line())
		}
	}
	for _, v := range typ.EnumValues {
		lines = append(lines, "value "+v.Name+" "+v.Description+v.deprecated())
	}
	slices.Sort(lines)
	return lines
}

const introspection = `{ __schema { description
	directives { name description isRepeatable locations args(includeDeprecated: true) { ...value } }
	types {
		kind name description specifiedByURL
		interfaces { name } possibleTypes { name }
		enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
		inputFields(includeDeprecated: true) { ...value }
		fields(includeDeprecated: true) {
			name description isDeprecated deprecationReason type { ...ref } args(includeDeprecated: true) { ...value } }
	} } }
fragment value on __InputValue { name description defaultValue isDeprecated deprecationReason type { ...ref } }
fragment ref on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`
