package upstream

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// thoughtsOf takes apart a text that comes in pieces.
func thoughtsOf(tags []string, whole bool, pieces ...[]byte) (reasoning, answer string) {
	t := newThoughts(tags)
	var r, a strings.Builder
	add := func(reasoning, answer []byte) {
		_, _ = r.Write(reasoning) // It cannot fail.
		_, _ = a.Write(answer)
	}
	for _, piece := range pieces {
		add(t.split(piece))
	}
	add(t.flush(whole))
	return r.String(), a.String()
}

// Wherever a text is cut, its parts are the same.
func TestThoughts(t *testing.T) {
	t.Parallel()
	think, all, opened := []string{"think"}, []string{"think", "thinking", "reasoning"}, []string{"/think"}
	for name, test := range map[string]struct {
		tags              []string
		text              string
		reasoning, answer string
		// atOnce: it can be known only when all of the text comes at once.
		atOnce bool
	}{
		"off": {nil, "<think>a</think>b", "", "<think>a</think>b", false},
		"case think-tags": {think, "<think>\nWater flows down.\n</think>\n\nRivers run.",
			"Water flows down.", "Rivers run.", false},
		"white space first": {think, "\n <think>a</think>b", "a", "b", false},
		"empty (Qwen 3)":    {think, "<think>\n\n</think>\n\nb", "", "b", false},
		"none": {think, "\n\nRivers <think>run</think>.", "",
			"\n\nRivers <think>run</think>.", false},
		"almost":        {think, "<thin ice> is thin", "", "<thin ice> is thin", false},
		"almost all":    {think, "<thi", "", "<thi", false},
		"longer name":   {think, "<thinking>a</thinking>b", "", "<thinking>a</thinking>b", false},
		"other names":   {all, "<thinking>a</think></thinking>b", "a</think>", "b", false},
		"other case":    {all, "<Reasoning>a</REASONING>b", "a", "b", false},
		"unclosed":      {think, "<think>\na b ", "a b", "", false},
		"almost closed": {think, "<think>a </thin", "a </thin", "", false},
		"tag in thoughts": {think, "<think>a <think> < </ </thin b</think>c",
			"a <think> < </ </thin b", "c", false},
		"two": {think, "<think>a</think>\n<think> b</think>\nc</think>", "a\n\nb",
			"c</think>", false},
		"white space inside":               {think, "<think> a \n\n b </think> c d ", "a \n\n b", "c d ", false},
		"no opening (DeepSeek's template)": {think, "a\n</think>\n\nb", "a", "b", true},
		"opened":                           {opened, "a\n</think>\n\nb </think>", "a", "b </think>", false},
		"opened twice":                     {opened, "<think>a</think>b", "a", "b", false},
		"opened, no thoughts":              {opened, "</think>b", "", "b", false},
		"opened, never closed":             {opened, "a b", "a b", "a b", false},
		"opened, then another one":         {opened, "a</think><think>b</think>c", "a\n\nb", "c", false},
		"characters":                       {think, "<think>ä😀</think>😀ä", "ä😀", "😀ä", false},
	} {
		text := []byte(test.text)
		check := func(how string, pieces ...[]byte) {
			t.Helper()
			reasoning, answer := thoughtsOf(test.tags, true, pieces...)
			if reasoning != test.reasoning || answer != test.answer {
				t.Errorf("%s, %s: got %q and %q, want %q and %q", name, how, reasoning, answer, test.reasoning,
					test.answer)
			}
		}
		check("at once", text)
		if test.atOnce {
			continue
		}
		for cut := range text {
			check("in two", text[:cut], text[cut:])
		}
		check("byte by byte", slices.Collect(slices.Chunk(text, 1))...)
	}
	// A reply that is cut while it thinks has not answered.
	if reasoning, answer := thoughtsOf(opened, false, []byte("a b")); reasoning != "a b" || answer != "" {
		t.Errorf("cut: got %q and %q, want thoughts only", reasoning, answer)
	}
}

// White space is not held back for ever.
func TestThoughtsHoldLittle(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", "<think>a"} {
		th := newThoughts([]string{"think"})
		out := 0
		count := func(reasoning, answer []byte) { out += len(reasoning) + len(answer) }
		count(th.split([]byte(start)))
		for range 1000 {
			count(th.split([]byte(strings.Repeat(" ", 100))))
			if len(th.held) > maxThoughtHeld {
				t.Fatalf("after %q: %d bytes are held", start, len(th.held))
			}
		}
		if out < 90_000 {
			t.Errorf("after %q: %d bytes came out, want most of 100,000", start, out)
		}
	}
}

func FuzzThoughts(f *testing.F) {
	for _, s := range []string{"<think>a</think>b", "a</think>b", " <thinking> ", "<think><think></think>"} {
		f.Add(s, 3, false)
		f.Add(s, 1, true)
	}
	f.Fuzz(func(t *testing.T, text string, size int, opened bool) {
		tags := []string{"think", "thinking"}
		if opened {
			tags[0] = "/think"
		}
		if size < 1 || text == "" {
			return
		}
		pieces := slices.Collect(slices.Chunk([]byte(text), size))
		reasoning, answer := thoughtsOf(tags, true, pieces...)
		if !opened && strings.Contains(text, "</") && len(pieces) > 1 {
			return // Whether a stray closing tag is seen depends on what has come with it.
		}
		whole, rest := thoughtsOf(tags, true, []byte(text))
		if whole != reasoning || rest != answer {
			t.Errorf("%q by %d: got %q and %q, at once %q and %q", text, size, reasoning, answer, whole, rest)
		}
	})
}

func TestThinkTagsAreNames(t *testing.T) {
	t.Parallel()
	for tag, ok := range map[string]bool{"think": true, "/think": true, "a-b_1": true, "": false, "<think>": false,
		"/": false, "on": false, "a b": false, "ä": false, strings.Repeat("a", 40): false} {
		err := Config{BaseURL: "http://x/v1", ThinkTags: []string{tag}, Silence: time.Second}.Validate()
		if (err == nil) != ok {
			t.Errorf("%q: got %v, want valid: %v", tag, err, ok)
		}
	}
}
