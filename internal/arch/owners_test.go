package arch_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// ownerRooms ask the database on behalf of users. A room that is added to them is held to
// the rule from its first file on.
var ownerRooms = []string{"internal/chat", "internal/reply", "internal/auth", "internal/feed", "internal/usage",
	"graph"}

// ownerPredicates are the predicates that name the owner, by the entity's name.
var ownerPredicates = map[string]string{
	"Conversation":         module + "/ent/conversation.UserID",
	"Message":              module + "/ent/message.UserID",
	"Send":                 module + "/ent/send.UserID",
	"ConversationDeletion": module + "/ent/conversationdeletion.UserID",
	"AuthSession":          module + "/ent/authsession.UserID",
	"UsageDay":             module + "/ent/usageday.UserID",
	"Summary":              module + "/ent/summary.UserID",
	"User":                 module + "/ent/user.ID",
}

// strangers lists, by function, the statements that name no owner though nothing in the
// function says for which purpose it runs. Each has its reason.
var strangers = map[string]string{
	"internal/auth.userByEmail":          "whose address it is, before anybody is known; callers sign in or up, or operate",
	"internal/auth.Service.externalUser": "who signs in is known by issuer and subject only",
	"internal/auth.Service.refreshInTx":  "the token proves whose the session is; its caller signs in",
	"internal/auth.Service.endSessions":  "its callers say whose sessions end",
	"internal/auth.Service.ListUsers":    "for the operator; asOperator refuses all others",
}

// checkOwners finds statements on rows with an owner that do not name the owner: a query,
// update or delete of one of the entities above whose chain of calls has no Where with
// that entity's predicate. What counts is
//
//   - the predicate itself, also within And, a list, append, or a variable all of whose
//     values have it;
//   - a function of the same package all of whose returns have it;
//   - a function that is given the statement and returns it with such a Where;
//   - for users, an id that the statement itself takes, as Get does.
//
// A function that makes its context one of a purpose's (AsSweep, AsSignIn, AsAdmin) is
// left alone behind that line, and so is a chain that is run with one.
func checkOwners(h *house) []string {
	var bad []string
	used := make(map[string]bool)
	known := functionsByDir(h)
	for _, s := range h.shipped() {
		if !slices.ContainsFunc(ownerRooms, func(room string) bool { return under(s.dir, room) }) {
			continue
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			o := &ownership{functions: known, scope: scope{s, f}}
			name := s.dir + "." + qualified(f)
			for _, found := range o.strangers() {
				if _, listed := strangers[name]; listed {
					used[name] = true
					continue
				}
				bad = append(bad, h.at(s, found.node, "%s: %s", name, found.why))
			}
		}
	}
	for name := range strangers {
		dir := name[:strings.Index(name, ".")]
		if !used[name] && slices.ContainsFunc(h.sources, func(s *source) bool { return s.dir == dir }) {
			bad = append(bad, dir+": "+name+" needs no exception from naming owners (any more)")
		}
	}
	return bad
}

// scope is a function with the file that it stands in.
type scope struct {
	*source
	*ast.FuncDecl
}

// functionsByDir finds functions, and methods of whatever type, by folder and name.
func functionsByDir(h *house) map[string]map[string][]scope {
	dirs := make(map[string]map[string][]scope)
	for _, s := range h.shipped() {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				if dirs[s.dir] == nil {
					dirs[s.dir] = make(map[string][]scope)
				}
				dirs[s.dir][f.Name.Name] = append(dirs[s.dir][f.Name.Name], scope{s, f})
			}
		}
	}
	return dirs
}

func qualified(f *ast.FuncDecl) string {
	if f.Recv != nil {
		return receiver(f) + "." + f.Name.Name
	}
	return f.Name.Name
}

// ownership looks at one function.
type ownership struct {
	functions map[string]map[string][]scope
	scope
	// looking holds what is being looked into, so that what names itself ends.
	looking []any
}

type stranger struct {
	node ast.Node
	why  string
}

// strangers lists the statements of the function that name no owner.
func (o *ownership) strangers() []stranger {
	var found []stranger
	purpose := token.Pos(0) // Where the context became a purpose's.
	walk(o.Body, func(n ast.Node, parents []ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				id, ok := to.(*ast.Ident)
				if ok && id.Name == "ctx" && i < len(n.Rhs) && o.isPurpose(n.Rhs[i]) && purpose == 0 {
					purpose = n.End()
				}
			}
		case *ast.SelectorExpr:
			if ownerPredicates[n.Sel.Name] != "" && isClient(n.X) && isCopied(n, parents) {
				found = append(found, stranger{n, "a client that is put into a variable hides its statements"})
			}
		case *ast.CallExpr:
			entity, op := o.statement(n)
			if entity == "" || purpose != 0 && n.Pos() > purpose {
				return
			}
			byID := entity == "User" && slices.Contains([]string{"Get", "UpdateOneID", "DeleteOneID"}, op)
			if !byID && !o.namesOwner(entity, n, parents) {
				predicate := strings.TrimPrefix(ownerPredicates[entity], module+"/ent/")
				why := "a statement on " + entity + " does not name its owner by " + predicate
				found = append(found, stranger{n, why})
			}
		}
	})
	return found
}

// statement returns the entity and the operation when the call begins a statement that
// reads or changes rows: tx.Message.Query() or, of a parameter *ent.MessageClient,
// messages.Query().
func (o *ownership) statement(call *ast.CallExpr) (entity, op string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.ContainsFunc([]string{"Query", "Update", "Delete", "Get"}, func(verb string) bool {
		return strings.HasPrefix(sel.Sel.Name, verb)
	}) {
		return "", ""
	}
	switch x := sel.X.(type) {
	case *ast.SelectorExpr:
		entity = x.Sel.Name
	case *ast.Ident:
		entity = strings.TrimSuffix(o.parameterType(x.Name), "Client")
	}
	if ownerPredicates[entity] == "" {
		return "", ""
	}
	return entity, sel.Sel.Name
}

// parameterType names the type *ent.T of a parameter or the receiver, "" for any other.
func (o *ownership) parameterType(name string) string {
	fields := o.Type.Params.List
	if o.Recv != nil {
		fields = append(slices.Clone(fields), o.Recv.List...)
	}
	for _, field := range fields {
		star, ok := field.Type.(*ast.StarExpr)
		if !ok || !slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name }) {
			continue
		}
		if sel, ok := star.X.(*ast.SelectorExpr); ok {
			return sel.Sel.Name
		}
	}
	return ""
}

// namesOwner follows the chain that begins with an expression outwards, to the end of the
// statement, and looks for the predicate.
func (o *ownership) namesOwner(entity string, chain ast.Node, parents []ast.Node) bool {
	for i := len(parents) - 1; i >= 0; i-- {
		switch outer := parents[i].(type) {
		case *ast.ParenExpr, *ast.SelectorExpr:
		case *ast.CallExpr:
			if outer.Fun == chain { // The next call of the chain.
				sel, ok := ast.Unparen(outer.Fun).(*ast.SelectorExpr)
				if ok && sel.Sel.Name == "Where" && o.anyNames(entity, outer.Args) {
					return true
				}
				if slices.ContainsFunc(outer.Args, o.isPurpose) {
					return true
				}
			} else if arg := slices.IndexFunc(outer.Args, func(e ast.Expr) bool { return e == chain }); arg >= 0 &&
				o.narrows(entity, outer.Fun, arg) {
				return true
			}
		default:
			return false
		}
		chain = parents[i]
	}
	return false
}

func (o *ownership) anyNames(entity string, list []ast.Expr) bool {
	return slices.ContainsFunc(list, func(e ast.Expr) bool { return o.names(entity, e) })
}

// names reports whether a predicate, or one of a list of them, is the owner's.
func (o *ownership) names(entity string, e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return o.names(entity, e.X)
	case *ast.CompositeLit:
		return o.anyNames(entity, e.Elts)
	case *ast.Ident:
		return o.inside(e.Name, func() bool { return o.everyValueNames(entity, e.Name) })
	case *ast.CallExpr:
		name := o.fullName(e.Fun)
		switch {
		case name == ownerPredicates[entity]:
			return true
		case name == "append", name == path.Dir(ownerPredicates[entity])+"/"+strings.ToLower(entity)+".And":
			return o.anyNames(entity, e.Args)
		}
		return o.everyFunction(e.Fun, func(f *ownership) bool {
			return f.everyReturn(func(results []ast.Expr, _ []ast.Node) bool { return f.anyNames(entity, results) })
		})
	}
	return false
}

// everyValueNames reports whether a variable of the function has values, all of which
// name the owner. What a parameter may be nobody knows here.
func (o *ownership) everyValueNames(entity, name string) bool {
	for _, field := range o.Type.Params.List {
		if slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name }) {
			return false
		}
	}
	values, good := 0, true
	walk(o.Body, func(n ast.Node, _ []ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if id, ok := to.(*ast.Ident); !ok || id.Name != name {
					continue
				}
				values++
				good = good && len(n.Lhs) == len(n.Rhs) && o.names(entity, n.Rhs[i])
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if id.Name == name {
					values++
					good = good && i < len(n.Values) && o.names(entity, n.Values[i])
				}
			}
		}
	})
	return good && values > 0
}

// narrows reports whether a function returns the statement that is its argument with a
// Where that names the owner.
func (o *ownership) narrows(entity string, fun ast.Expr, argument int) bool {
	return o.everyFunction(fun, func(f *ownership) bool {
		var names []string
		for _, field := range f.Type.Params.List {
			for _, id := range field.Names {
				names = append(names, id.Name)
			}
		}
		return argument < len(names) && f.everyReturn(func(results []ast.Expr, parents []ast.Node) bool {
			return slices.ContainsFunc(results, func(result ast.Expr) bool {
				found := false
				walk(result, func(n ast.Node, inner []ast.Node) {
					id, ok := n.(*ast.Ident)
					found = found || ok && id.Name == names[argument] && f.namesOwner(entity, id, inner)
				})
				return found
			})
		})
	})
}

// everyFunction reports whether there are functions of this name in the package, or in the
// one of ours that is named, all of which have the property.
func (o *ownership) everyFunction(fun ast.Expr, has func(f *ownership) bool) bool {
	dir, name := o.dir, ""
	switch fun := ast.Unparen(fun).(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
		if pkg, ok := fun.X.(*ast.Ident); ok && o.imports()[pkg.Name] != "" {
			dir = strings.TrimPrefix(o.imports()[pkg.Name], module+"/")
		}
	}
	candidates := o.functions[dir][name]
	for _, c := range candidates {
		f := &ownership{functions: o.functions, scope: c, looking: o.looking}
		if !o.inside(c.FuncDecl, func() bool { f.looking = o.looking; return has(f) }) {
			return false
		}
	}
	return len(candidates) > 0
}

// everyReturn reports whether the function has returns, all of which have the property.
// Those of functions within it are not its own.
func (o *ownership) everyReturn(has func(results []ast.Expr, parents []ast.Node) bool) bool {
	returns, good := 0, true
	walk(o.Body, func(n ast.Node, parents []ast.Node) {
		r, ok := n.(*ast.ReturnStmt)
		if !ok || slices.ContainsFunc(parents, func(p ast.Node) bool { _, ok := p.(*ast.FuncLit); return ok }) {
			return
		}
		returns++
		good = good && has(r.Results, parents)
	})
	return good && returns > 0
}

// inside looks into something, and takes for good what it comes back to on the way:
// where = append(where, more).
func (o *ownership) inside(what any, look func() bool) bool {
	if slices.Contains(o.looking, what) {
		return true
	}
	o.looking = append(o.looking, what)
	defer func() { o.looking = o.looking[:len(o.looking)-1] }()
	return look()
}

// isPurpose reports whether an expression makes the context of a purpose.
func (o *ownership) isPurpose(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && slices.Contains([]string{"AsSweep", "AsSignIn", "AsAdmin"},
		strings.TrimPrefix(o.fullName(call.Fun), module+"/internal/viewer."))
}

// fullName is the path of a package and a name of it, or a bare name.
func (o *ownership) fullName(fun ast.Expr) string {
	switch fun := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		if pkg, ok := fun.X.(*ast.Ident); ok && o.imports()[pkg.Name] != "" {
			return o.imports()[pkg.Name] + "." + fun.Sel.Name
		}
	}
	return ""
}

// isClient reports whether an expression is what the clients of entities hang on.
func isClient(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "tx" || e.Name == "client"
	case *ast.SelectorExpr:
		return e.Sel.Name == "tx" || e.Sel.Name == "client"
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Client"
	}
	return false
}

// isCopied reports whether a node is the value of an assignment.
func isCopied(n ast.Node, parents []ast.Node) bool {
	switch parent := parents[len(parents)-1].(type) {
	case *ast.AssignStmt:
		return slices.Contains(parent.Rhs, n.(ast.Expr))
	case *ast.ValueSpec:
		return true
	}
	return false
}

// walk calls visit for each node below root with all nodes above it.
func walk(root ast.Node, visit func(n ast.Node, parents []ast.Node)) {
	var parents []ast.Node
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			parents = parents[:len(parents)-1]
			return true
		}
		visit(n, parents)
		parents = append(parents, n)
		return true
	})
}
