// Package arch holds the tests of the house: which room may import which, who
// may ask the database as whom, and the parts of the style guide a machine can
// check. It owns no code that ships.
//
// Its one invariant: every rule is proven to fail by a planted violation.
package arch
