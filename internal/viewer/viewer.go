// Package viewer says who is asking. A context carries at most one viewer: a
// signed-in user, or one of a few named purposes of the server itself. Ent's
// privacy policies read it and deny everything when it is absent.
//
// Who may make which purpose is listed in internal/arch and enforced there.
package viewer

import (
	"context"

	"parley/internal/pid"
)

// Purpose names a task of the server that runs for no user.
type Purpose string

// The purposes. Each is allowed on named entities and operations only; see the
// policies in ent/schema.
const (
	// SignIn looks up accounts and keeps refresh families and throttles.
	SignIn Purpose = "sign-in"
	// Sweep keeps replica leases and finds replies whose owner is gone.
	Sweep Purpose = "sweep"
	// Admin is the operator at the command line.
	Admin Purpose = "admin"
)

// Viewer is who is asking: either a user or a purpose, never both.
type Viewer struct {
	user    pid.ID
	purpose Purpose
}

// User returns the id of the user who is asking, and whether it is a user.
func (v Viewer) User() (pid.ID, bool) { return v.user, v.user != "" }

// Is reports whether the viewer is the given purpose.
func (v Viewer) Is(p Purpose) bool { return p != "" && v.purpose == p }

type contextKey struct{}

// AsUser returns a context in which the user with this id is asking.
func AsUser(ctx context.Context, id pid.ID) context.Context {
	return context.WithValue(ctx, contextKey{}, Viewer{user: id})
}

// AsSignIn returns a context for looking up accounts and refresh families.
func AsSignIn(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, Viewer{purpose: SignIn})
}

// AsSweep returns a context for leases and for finding abandoned replies.
func AsSweep(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, Viewer{purpose: Sweep})
}

// AsAdmin returns a context for the operator's commands.
func AsAdmin(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, Viewer{purpose: Admin})
}

// From returns the viewer of ctx, and whether there is one.
func From(ctx context.Context) (Viewer, bool) {
	v, ok := ctx.Value(contextKey{}).(Viewer)
	return v, ok
}
