package script

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many characters a token has at most: a language without spaces, and a long
// address, come in pieces, too.
const longest = 16

// tokens splits a text into words, each with the space behind it.
func tokens(text string) []string {
	var all []string
	start, count, spaced := 0, 0, false
	for i, r := range text {
		space := unicode.IsSpace(r)
		if i > start && (spaced && !space || !space && count >= longest) {
			all = append(all, text[start:i])
			start, count = i, 0
		}
		spaced = space
		count++
	}
	if start < len(text) {
		all = append(all, text[start:])
	}
	return all
}

// sentences fill what the text leaves open.
const sentences = "The harbour lies still in the morning, and the first boats come in with the tide. " +
	"Somebody mends a net on the quay; somebody else counts the gulls and gives up. " +
	"At noon the wind turns to the west, the flags change sides, and the ferry is late again. " +
	"In the evening the lamps are lit one after the other, and the water holds each of them twice. " +
	"Nobody is in a hurry here, for what does not come today comes with the next tide. "

// filler makes so many tokens.
func filler(n int) []string {
	words := tokens(sentences)
	all := make([]string, n)
	for i := range all {
		all[i] = words[i%len(words)]
	}
	if n > 0 {
		all[n-1] = strings.TrimSpace(all[n-1])
	}
	return all
}

// thoughts makes so many tokens of reasoning.
func thoughts(n int) []string {
	words := tokens("First I look at what was asked. Then I weigh what I know against what I do not. " +
		"One way seems too short, another one too long; the third may do. Let me check it once more. ")
	all := make([]string, n)
	for i := range all {
		all[i] = words[i%len(words)]
	}
	return all
}

// kilobytes makes so many pieces of 1024 bytes, in paragraphs.
func kilobytes(n int) []string {
	all := make([]string, n)
	for i := range all {
		var b strings.Builder
		for b.Len() < 1024 {
			b.WriteString(sentences)
		}
		all[i] = b.String()[:1022] + "\n\n"
	}
	return all
}

// bodies are the texts of commands; read only.
var bodies = map[string]string{
	"markdown": `# Tides

## What they are

The sea **rises** and *falls* twice a day, because of the [moon](https://example.com/moon "The moon"). ~~Nobody~~ ` +
		"Everybody calls that `tide`" + `.

1. High water
2. Low water
   - spring tide
   - neap tide
     - [x] seen
     - [ ] understood

| Place | Height | Note |
|:---|---:|:---:|
| Bay of Fundy | 16 m | the *highest* |
| Naples | 0.3 m | ` + "`|`" + ` |

> Time and tide wait for no man.
>
> > Nor for this quotation.

---

<script>document.title = 'owned'</script> <img src=x onerror="document.title = 'owned'">

![a picture](https://example.com/tide.png) and <https://example.com/?a=1&b=2>

[do not](javascript:alert(1))`,
	"code": "```js\nconst period = 12.42 // hours\nconst next = (t) => new Date(+t + period * 3_600_000)\n```\n\n" +
		"```python\ndef tide(t: float) -> float:\n    return 2.5 * cos(2 * pi * t / 12.42)\n```\n\n" +
		"```go\nfunc tide(t float64) float64 {\n\treturn 2.5 * math.Cos(2*math.Pi*t/12.42)\n}\n```\n\n" +
		"```html\n<p class=\"tide\">&amp; so on</p>\n```\n\n" +
		"```diff\n-low water\n+high water\n```\n\n" +
		"```\n" + strings.Repeat("a line that is longer than any screen ", 8) + "\n```\n\n" +
		"Inline `a < b && c`, and one more block:\n\n```sh\necho \"the tide is in\"\n```",
	"math": `The height is $h(t) = A \cos(\omega t + \varphi)$, with $\omega = \frac{2\pi}{12.42}$, or \(h_0\) at \(t = 0\). ` +
		`It costs $5 and not $6.

$$
\int_0^T h(t)\,dt = \sum_{i=1}^{n} a_i \begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}
$$

\[
e^{i\pi} + 1 = 0
\]`,
	"rtl": `المد والجزر يحدثان مرتين في اليوم بسبب القمر.

הגאות והשפל באים פעמיים ביום בגלל הירח.

في الساعة 12:42 قال: "the tide is in" ثم ذهب إلى https://example.com/مد.

1. אחת
2. שתיים`,
	"emoji": "👩‍👩‍👧‍👦 family, 🏴‍☠️ flag, 🇩🇪🇯🇵 flags, 👍🏽 thumb, 1️⃣ key, 🧑🏾‍🚀 crew, é and é, क्षि, 각, ท้ำ, Z̷̡͝a̶l̴g̵o, 𝒽𝑒𝓁𝓁𝑜, 👨‍💻 end",
	"citations": "The sea rises twice a day, because of the moon. In the Bay of Fundy it rises by 16 metres. " +
		"Nobody knows who said so first.",
	"image": "Here is the picture that you asked for.",
}

// annotations are the sources of the text of /citations: two with their place in the whole,
// in characters, and one without.
func annotations(pieces []string) []any {
	text := strings.Join(pieces, "")
	cite := func(url, title, sentence string) any {
		source := map[string]any{"url": url, "title": title}
		if before, _, found := strings.Cut(text, sentence); found && sentence != "" {
			start := utf8.RuneCountInString(before)
			source["start_index"], source["end_index"] = start, start+utf8.RuneCountInString(sentence)
		}
		return map[string]any{"type": "url_citation", "url_citation": source}
	}
	return []any{
		cite("https://example.com/moon", "The moon and the sea", "The sea rises twice a day, because of the moon."),
		cite("https://example.com/fundy?unit=m", "Bay of Fundy", "In the Bay of Fundy it rises by 16 metres."),
		cite("https://example.com/tides", "Tides", ""),
	}
}

// images are the smallest picture there is, as OpenRouter sends what a model has drawn.
func images() []any {
	return []any{map[string]any{"type": "image_url", "image_url": map[string]any{
		"url": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC",
	}}}
}
