package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Spelling returns s in Unicode's normalisation form C: the one form of texts that are
// composed differently and are the same to a reader, such as an é of one or of two characters.
func Spelling(s string) string { return norm.NFC.String(s) }

// Spellings returns the forms in which s may have been stored before there was one form: as
// it is, composed and decomposed, without repeats, the Spelling first.
func Spellings(s string) []string {
	all := []string{norm.NFC.String(s)}
	for _, form := range []string{s, norm.NFD.String(s)} {
		if form != all[0] && form != all[len(all)-1] {
			all = append(all, form)
		}
	}
	return all
}

// Password returns the form of a password in which it is compared: that of the profile
// OpaqueString of PRECIS (RFC 8265), which makes one of all spaces and composes what belongs
// together, and changes nothing else, neither case nor width. What the profile would refuse,
// such as a control character or one newer than its tables, is taken all the same: a password
// is for nobody to read, and one that was good must stay so.
func Password(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, s))
}
