package upstream_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/reply"
)

// Usage is counted in many spellings. What is not told is nil.
func TestUsage(t *testing.T) {
	t.Parallel()
	var tests []answerTest
	for _, test := range []struct {
		name, from, usage string
		want              reply.Usage
	}{
		{"plain", "OpenAI", `"prompt_tokens":12,"completion_tokens":4,"total_tokens":16`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4}},
		{"details", "OpenAI", `"prompt_tokens":12,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0},` +
			`"completion_tokens_details":{"reasoning_tokens":2}`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(0), ReasoningTokens: new(2)}},
		{"null", "SGLang",
			`"prompt_tokens":12,"completion_tokens":4,"prompt_tokens_details":null,"reasoning_tokens":null`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4}},
		{"Gemini", "case usage-gemini", `"prompt_tokens":12,"completion_tokens":4,"total_tokens":316`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 304, ReasoningTokens: new(300)}},
		{"xAI", "Wei-Shaw/sub2api#5771", `"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,` +
			`"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}`,
			reply.Usage{PromptTokens: 10120, CompletionTokens: 4308, CachedTokens: new(128),
				ReasoningTokens: new(2809)}},
		{"xAI without a total", "vercel/ai#12425", `"prompt_tokens":12,"completion_tokens":2,` +
			`"completion_tokens_details":{"reasoning_tokens":317}`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 319, ReasoningTokens: new(317)}},
		{"DeepSeek", "case usage-deepseek", `"prompt_tokens":12,"completion_tokens":4,"total_tokens":16,` +
			`"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":4`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(8)}},
		{"Moonshot", "AstrBotDevs/AstrBot#6614", `"prompt_tokens":1336,"completion_tokens":31,"total_tokens":1367,` +
			`"cached_tokens":1280,"prompt_tokens_details":{"cached_tokens":1280}`,
			reply.Usage{PromptTokens: 1336, CompletionTokens: 31, CachedTokens: new(1280)}},
		{"OpenRouter", "OpenRouter's documentation of usage", `"prompt_tokens":12,"completion_tokens":4,"cost":0.1,` +
			`"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":5}`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(3), CacheWriteTokens: new(5)}},
		{"LiteLLM", "LiteLLM's documentation of prompt caching", `"prompt_tokens":12,"completion_tokens":4,` +
			`"total_tokens":16,"cache_read_input_tokens":3,"cache_creation_input_tokens":5`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(3), CacheWriteTokens: new(5)}},
		{"Anthropic", "its input leaves the cache out", `"input_tokens":4,"output_tokens":4,` +
			`"cache_read_input_tokens":3,"cache_creation_input_tokens":5`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(3), CacheWriteTokens: new(5)}},
		{"Responses", "OpenAI", `"input_tokens":12,"output_tokens":4,"total_tokens":16,` +
			`"input_tokens_details":{"cached_tokens":3},"output_tokens_details":{"reasoning_tokens":1}`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(3), ReasoningTokens: new(1)}},
		{"Ollama", "Ollama", `"prompt_eval_count":12,"eval_count":4`, reply.Usage{PromptTokens: 12,
			CompletionTokens: 4}},
		{"too much", "", `"prompt_tokens":12,"completion_tokens":4,"total_tokens":16,"cached_tokens":99,` +
			`"reasoning_tokens":99`,
			reply.Usage{PromptTokens: 12, CompletionTokens: 4, CachedTokens: new(12), ReasoningTokens: new(4)}},
		{"nonsense", "",
			`"prompt_tokens":1e12,"completion_tokens":1000000000001,"total_tokens":1e12,"cached_tokens":-3`,
			reply.Usage{PromptTokens: 1e9, CompletionTokens: 1e9, CachedTokens: new(0)}},
	} {
		tests = append(tests, answerTest{name: test.name, from: test.from, serve: body(good + counted(test.usage)),
			text: "Hello", finish: "STOP", usage: &test.want})
	}
	plain := &reply.Usage{PromptTokens: 12, CompletionTokens: 4}
	runAnswers(t, append(tests, []answerTest{
		{name: "x_groq", from: "Groq", text: "Hello", finish: "STOP", usage: plain, serve: body(good +
			`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"x","usage":{"queue_time":0.1,` +
			`"prompt_tokens":12,"completion_tokens":4}}}` + "\n\n")},
		{name: "choice", from: "earendil-works/pi#2017, northes/go-moonshot#17", text: "Hello", finish: "STOP",
			usage: plain, serve: body(good + choice(`"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":12,`+
				`"completion_tokens":4}`) + done)},
		{name: "top", from: "Ollama", text: "Hello", finish: "STOP", usage: plain, serve: body(good +
			`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"prompt_eval_count":12,"eval_count":4}` +
			"\n\n")},
		{name: "growing", from: "alfredapp/openai-workflow#52", text: "Hello there", finish: "STOP", usage: plain,
			serve: body(strings.Replace(good, "]}", `],"usage":{"prompt_tokens":12,"completion_tokens":2}}`, 1) +
				strings.Replace(more, "]}", `],"usage":{"prompt_tokens":12,"completion_tokens":4}}`, 1) + stop + done)},
		{name: "zeros, then a total alone", text: "Hello", finish: "STOP", noUsage: true, serve: body(good +
			`data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}` + "\n\n" +
			counted(`"total_tokens":16`))},
		{name: "in two", from: "Anthropic's message_start and message_delta", text: "Hello", finish: "STOP",
			usage: plain, serve: body(`data: {"choices":[],"usage":{"input_tokens":12}}` + "\n\n" + good + stop +
				`data: {"choices":[],"usage":{"output_tokens":4}}` + "\n\n")},
	}...))
}

// Reasoning has many names, and comes once.
func TestReasoning(t *testing.T) {
	t.Parallel()
	end := saysFinish("Rivers run.", "stop") + done
	var tests []answerTest
	for _, test := range []struct{ name, from, frames string }{
		{"details", "case reasoning-details",
			saying(`"reasoning_details":[{"type":"reasoning.text","text":"Water flows.","format":"x"}]`)},
		{"summary", "OpenRouter",
			saying(`"reasoning_details":[{"type":"reasoning.summary","summary":"Water flows."}]`)},
		{"encrypted", "OpenRouter",
			saying(`"reasoning":"Water flows.","reasoning_details":[{"type":"reasoning.encrypted",` +
				`"data":"AAAA"}]`)},
		{"twice in a frame", "OpenRouter", saying(`"reasoning":"Water ","reasoning_details":[{"text":"Water "}]`) +
			saying(`"reasoning":"flows.","reasoning_details":[{"text":"flows."}]`)},
		{"again in a later frame", "Alishahryar1/free-claude-code#1274", saying(`"reasoning":"Water flows."`) +
			saying(`"reasoning_details":[{"text":"Water flows."}]`)},
		{"object", "envoyproxy/ai-gateway#1222", saying(`"reasoning_content":{"text":"Water flows."}`)},
		{"string", "Ollama, vLLM", saying(`"reasoning":"Water flows."`)},
		{"blocks", "LiteLLM", saying(`"reasoning_content":"Water flows.","thinking_blocks":[{"type":"thinking",` +
			`"thinking":"Water flows.","signature":"x"}]`)},
		{"thinking", "", saying(`"thinking":"Water flows."`)},
		{"part", "Mistral",
			saying(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"Water flows."}]}]`)},
		{"thought part", "Gemini", saying(`"content":[{"text":"Water flows.","thought":true}]`)},
		{"reasoning part", "", saying(`"content":[{"type":"reasoning","text":"Water flows."}]`)},
		{"Gemini's mark", "Gemini's OpenAI endpoint with include_thoughts",
			saying(`"content":"<thought>Water ","extra_content":{"google":{"thought":true}}`) +
				saying(`"content":"flows.","extra_content":{"google":{"thought":true}}`) +
				saying(`"content":"</thought>"`)},
		{"text in the same frame", "", saying(`"reasoning":"Water flows.","content":""`)},
	} {
		tests = append(tests, answerTest{name: test.name, from: test.from, serve: body(test.frames + end),
			text: "Rivers run.", reasoning: "Water flows.", finish: "STOP"})
	}
	runAnswers(t, append(tests, answerTest{name: "nothing but encrypted", text: "Rivers run.", finish: "STOP",
		serve: body(saying(`"reasoning_details":[{"type":"reasoning.encrypted","data":"AAAA"}]`) + end)}))
}

// Sources are links that a page may show.
func TestCitations(t *testing.T) {
	t.Parallel()
	const river = "https://example.com/river"
	at := func(url, title string, start, end int) reply.Citation {
		return reply.Citation{URL: url, Title: title, Start: &start, End: &end}
	}
	annotation := func(url string, start, end int) string {
		return fmt.Sprintf(`"annotations":[{"type":"url_citation","url_citation":{"url":"%s","title":"River","start_index":%d,`+
			`"end_index":%d}}]`, url, start, end)
	}
	runAnswers(t, []answerTest{
		{name: "annotations and citations", from: "case annotations", text: "Rivers run [1].", finish: "STOP",
			serve: body(delta("Rivers run [1].") + saying(annotation(river, 11, 14)) +
				`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"citations":["` + river + `"]}` +
				"\n\n" + done),
			citations: []reply.Citation{at(river, "River", 11, 14)}},
		{name: "code points", text: "😀ä [1]", finish: "STOP", serve: body(delta("😀ä [1]") + saying(annotation(river,
			3, 6)) +
			stop), citations: []reply.Citation{at(river, "River", 4, 7)}},
		{name: "before its text", text: "😀 [1]", finish: "STOP", serve: body(saying(annotation(river, 2, 5)) +
			delta("😀 [1]") + stop), citations: []reply.Citation{at(river, "River", 3, 6)}},
		{name: "outside the text", text: "Hello", finish: "STOP", serve: body(good + saying(annotation(river, 3,
			99)) + stop),
			citations: []reply.Citation{{URL: river, Title: "River"}}},
		{name: "in a document", from: "OpenAI's search models", text: "Hello", finish: "STOP", serve: answer(200,
			"application/json", `{"choices":[{"message":{"content":"Hello",`+annotation(river, 0, 5)+
				`},"finish_reason":"stop"}]}`), citations: []reply.Citation{at(river, "River", 0, 5)}},
		{name: "flat", from: "OpenAI's Responses", text: "Hello", finish: "STOP", serve: body(good + saying(
			`"annotations":[{"type":"url_citation","url":"`+river+
				`","title":"River","start_index":0,"end_index":5}]`) + stop),
			citations: []reply.Citation{at(river, "River", 0, 5)}},
		{name: "repeated in each frame", from: "Perplexity", text: "Hello there", finish: "STOP",
			serve: body(strings.NewReplacer(`{"choices"`, `{"citations":["`+river+`","http://b.example"],`+
				`"search_results":[{"title":"River","url":"`+river+`","date":"2026-01-01"}],"choices"`).Replace(good +
				more + stop)),
			citations: []reply.Citation{{URL: river, Title: "River"}, {URL: "http://b.example"}}},
		{name: "grounding", from: "Gemini", text: "Hello", finish: "STOP", serve: body(good + choice(`"delta":{},`+
			`"finish_reason":"stop","groundingMetadata":{"webSearchQueries":["river"],"groundingChunks":[{"web":{"uri":"`+river+
			`","title":"River"}}]}`)), citations: []reply.Citation{{URL: river, Title: "River"}}},
		{name: "web_search", from: "Zhipu", text: "Hello", finish: "STOP", serve: body(good +
			`data: {"choices":[],"web_search":[{"title":"River","link":"` + river + `","content":"x"}]}` + "\n\n" +
			stop),
			citations: []reply.Citation{{URL: river, Title: "River"}}},
		{name: "no links", text: "Hello", finish: "STOP", serve: body(good + `data: {"choices":[],"citations":[` +
			`"javascript:alert(1)","data:text/html,x","/river","https://a@b.example","https://x y","ftp://x","https://","",1,` +
			`"https://` + strings.Repeat("x", 3000) + `","https://a\u0000b","https://a.example/\u202eb"]}` + "\n\n" +
			stop)},
		{name: "titles", text: "Hello", finish: "STOP", serve: body(good +
			`data: {"choices":[],"search_results":[{"url":"` +
			river + `","title":" a\u0000\nb\u202e` + strings.Repeat("ä", 200) + `"}]}` + "\n\n" + stop),
			citations: []reply.Citation{{URL: river, Title: "a  b" + strings.Repeat("ä", 148)}}},
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		var links []string
		for n := range 1000 {
			links = append(links, fmt.Sprintf(`"https://example.com/%d"`, n))
		}
		c := client(t, once(serve(t, body(good+`data: {"choices":[],"citations":[`+strings.Join(links, ",")+"]}\n\n"+
			stop))))
		_, result, err := generate(t, c)
		if err != nil || len(result.Citations) != 100 {
			t.Errorf("got %d citations, %v, want 100", len(result.Citations), err)
		}
	})
}
