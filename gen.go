// Package parley is the root of the module: it holds only the order in which
// code is generated. Start at ARCHITECTURE.md.
package parley

//go:generate go run ./internal/tools/entgen
//go:generate go tool gqlgen generate
//go:generate go run ./internal/tools/gqlpatch
