// Package text owns what is done to text that people write as a name, an address or a
// password: cleaning, cutting, and the one form in which two spellings of the same are the
// same. It is pure, and does not know what the text is for, nor how long it may be.
//
// Its one invariant: what was cut is a beginning of the cleaned text that ends between two
// graphemes, so nothing that a reader sees as one character is ever halved.
//
// A grapheme is what Unicode's annex 29 calls an extended grapheme cluster: a letter with its
// marks, a syllable of Hindi, a flag, a family.
//
// What is where:
//
//	line.go    Line, Blank, Visible: one line of text as a name, without what nobody can see
//	cut.go     Cut, Shorten: what fits, between graphemes
//	spell.go   Spelling, Password: one form of the same text
package text
