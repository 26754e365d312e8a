package auth

import (
	_ "embed"
	"iter"
	"strings"
)

// commonWords holds the words that passwords are commonly made of. No published
// list was at hand: it was written down from general knowledge of what leaked
// lists have at their top (words, names, teams, keyboard walks, number runs), one
// entry a line, lower case. The list that is refused is each word with each of
// commonSuffixes, in any mix of case, and with the usual digits for letters; it
// has thousands of entries of at least eight characters. It is a floor, not a
// breach database.
//
//go:embed blocklist.txt
var commonWords string

// commonSuffixes are what people add to a word to satisfy a rule. They are a list
// of constants.
func commonSuffixes() []string {
	return []string{
		"", "0", "00", "01", "007", "1", "1!", "11", "111", "12", "12!", "123", "123!", "1234", "1234!", "12345",
		"123456",
		"1234567", "12345678", "123456789", "13", "2", "21", "22", "23", "3", "321", "69", "7", "77", "88", "99",
		"!", "!!", ".", "#1", "@1", "@12", "@123", "@1234", "_1", "_123", "abc", "qwe",
		"1990", "1991", "1992", "1993", "1994", "1995", "1996", "1997", "1998", "1999",
		"2000", "2010", "2015", "2016", "2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024", "2025", "2026",
		"2020!", "2021!", "2022!", "2023!", "2024!", "2025!", "2026!",
	}
}

// commonPasswords yields the whole list, in lower case.
func commonPasswords() iter.Seq[string] {
	return func(yield func(string) bool) {
		for word := range strings.Lines(commonWords) {
			word = strings.TrimSpace(word)
			if word == "" || strings.HasPrefix(word, "#") {
				continue
			}
			for _, suffix := range commonSuffixes() {
				if !yield(word + suffix) {
					return
				}
			}
		}
	}
}

// isCommonPassword reports whether the password is on the list, in any case and
// with the usual digits for letters, or is one short pattern over and over. It
// takes the list apart again instead of keeping all of it in memory: it runs once
// for each new password, next to a hash that takes far longer.
func isCommonPassword(password string) bool {
	folded := strings.ToLower(password)
	if repeats(folded) || runs(folded) {
		return true
	}
	unleet := strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "5", "s", "$", "s", "7",
		"t")
	candidates := make(map[string]bool)
	for _, suffix := range commonSuffixes() {
		if word, ok := strings.CutSuffix(folded, suffix); ok {
			candidates[word] = true
			candidates[unleet.Replace(word)] = true
		}
	}
	for word := range strings.Lines(commonWords) {
		if candidates[strings.TrimSpace(word)] && strings.TrimSpace(word) != "" {
			return true
		}
	}
	return false
}

// repeats reports whether s is one piece of at most four bytes, over and over.
func repeats(s string) bool {
	for n := 1; n <= 4 && n < len(s); n++ {
		if s == strings.Repeat(s[:n], len(s)/n+1)[:len(s)] {
			return true
		}
	}
	return false
}

// runs reports whether every byte of s follows the one before in the same
// direction, as in 12345678 or hgfedcba, with 0 after 9.
func runs(s string) bool {
	for _, step := range []int{1, -1} {
		run := true
		for i := 1; i < len(s) && run; i++ {
			next := int(s[i-1]) + step
			if s[i-1] == '9' && step == 1 {
				next = '0'
			} else if s[i-1] == '0' && step == -1 {
				next = '9'
			}
			run = int(s[i]) == next
		}
		if run {
			return true
		}
	}
	return false
}
