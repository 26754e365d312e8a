package reply

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanTitle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab ", 4000)
	for said, want := range map[string]string{
		"Cats and dogs":                    "Cats and dogs",
		"\n\n  Cats and dogs \nMore of it": "Cats and dogs",
		`"Cats and dogs"`:                  "Cats and dogs",
		"„Katzen und Hunde“":               "Katzen und Hunde",
		"«Chats»":                          "Chats",
		`**"Cats"**`:                       "Cats",
		"# Cats & dogs #1":                 "Cats & dogs #1",
		"- *Cats*":                         "Cats",
		"1. Cats":                          "Cats",
		"> `Cats`":                         "Cats",
		"[Cats](https://example.com)":      "Cats",
		"```\nCats\n```":                   "Cats",
		"---\nCats":                        "Cats",
		"snake_case in C# and 5 * 3":       "snake_case in C# and 5 * 3",
		"Is a < b?":                        "Is a < b?",
		"<think>They want cats.\nYes.</think>\n\nCats":               "Cats",
		"<THINK>They want cats.":                                     "",
		"They want cats.</think>Cats":                                "Cats",
		"<thinking>x</thinking>":                                     "",
		"<h1>Cats &amp; <b>dogs</b></h1><p>more</p>":                 "Cats & dogs",
		"<!DOCTYPE html><html><head><title>502</title></head><body>": "",
		"<script>alert(1)</script>Cats":                              "Cats",
		"<!-- x -->Cats":                                             "Cats",
		"Ca\u202ets\u202c and\u2066 dogs\u2069":                      "Cats and dogs",
		"\u202e\u200b":                                               "",
		"Ca\x00t\x1bs\tand\u0007 dogs":                               "Cats and dogs",
		"Cats\xff":                                                   "Cats\uFFFD",
		"":                                                           "",
		" \n\t ":                                                     "",
		"...":                                                        "",
		`""`:                                                         "",
		"**":                                                         "",
		"[Cats](javascript:alert(1))":                                "Cats",
		"[Cats](https://en.wikipedia.org/wiki/Cat_(animal) \"x\")": "Cats",
		"![Cats [and] dogs](data:text/html,<b>x</b>)":              "Cats [and] dogs",
		"Using a[0][1] in C":                                             "Using a[0][1] in C",
		"The <br> tag in HTML":                                           "The tag in HTML",
		"<scr<b>ipt>alert(1)</scr</b>ipt>Cats":                           "Cats",
		"<**b onclick=alert(1)>Cats":                                     "",
		"<b>&lt;img src=x onerror=alert(1)&gt;</b>Cats":                  "Cats",
		"<b>Cats</b>&amp;lt;b&amp;gt;":                                   "Cats&lt;b&gt;",
		"<<b>img src=x onerror=alert(1)>Cats":                            "Cats",
		"<p>" + strings.Repeat("<", 1<<15) + strings.Repeat("b>", 1<<15): "",
		"👩‍👩‍👧‍👦 Family":                                                 "👩‍👩‍👧‍👦 Family",
		"C++ \"auto\"":                                                   "C++ \"auto\"",
		long:                                                             long[:79] + "…",
	} {
		if got := cleanTitle(said); got != want {
			t.Errorf("%.60q: got %q, want %q", said, got, want)
		}
	}
	for _, one := range []string{"👨‍👩‍👧‍👦", "e\u0301", "🇩🇪"} {
		said := strings.Repeat(one, 100)
		got := cleanTitle(said)
		whole := strings.HasPrefix(said, strings.TrimSuffix(got, "…"))
		if n := utf8.RuneCountInString(got); n == 0 || n > maxTitleRunes || !whole {
			t.Errorf("%.20q: got %q, %d runes", said, got, n)
		}
	}
}
