package upstream_test

import (
	"strings"
	"testing"

	"parley/internal/reply"
)

// One carrier holds the text, and what cannot be kept is said.
func TestCarriers(t *testing.T) {
	t.Parallel()
	both := func(piece, all string) string {
		return choice(`"message":{"content":"` + all + `"},"delta":{"content":"` + piece + `"},"finish_reason":null`)
	}
	message := func(all string) string { return choice(`"message":{"content":"` + all + `"}`) }
	heavy := strings.Repeat("A", 1400<<10)
	runAnswers(t, []answerTest{
		{name: "delta and message", from: "case delta-and-message",
			serve: body(both("Rivers ", "Rivers ") + both("run ", "Rivers run ") + both("to the sea.",
				"Rivers run to the sea.") + choice(`"delta":{"content":""},"finish_reason":"stop",`+
				`"message":{"content":"Rivers run to the sea."}`) + done), text: "Rivers run to the sea.",
			finish: "STOP"},
		{name: "growing message", serve: body(message("Riv") + message("Rivers ru") + message("Rivers run.") +
			message("Rivers run.") + stop + done), text: "Rivers run.", finish: "STOP"},
		{name: "pieces in messages", serve: body(message("Rivers ") + message("run.") + stop), text: "Rivers run.",
			finish: "STOP"},
		{name: "message behind an empty delta", serve: body(choice(`"delta":{"role":"assistant","content":""},` +
			`"message":{"content":"Hello"},"finish_reason":"stop"`)), text: "Hello", finish: "STOP"},
		{name: "thoughts in both", serve: body(choice(`"delta":{"reasoning":"h"},"message":{"reasoning":"h"}`) +
			choice(`"delta":{"reasoning":"m"},"message":{"reasoning":"hm"}`) + good + stop), text: "Hello",
			reasoning: "hm", finish: "STOP"},
		{name: "thoughts in pieces, the answer in a message", serve: body(saying(`"reasoning":"hm"`) +
			choice(`"message":{"reasoning":"hm","content":"Hello"},"finish_reason":"stop"`) + done), text: "Hello",
			reasoning: "hm", finish: "STOP"},
		{name: "other choice last", serve: body(`data: {"choices":[{"delta":{"content":"Hello"},"index":0},` +
			`{"delta":{"content":"no","images":["x"],"tool_calls":[{"id":"x"}]},"finish_reason":"error","index":1}]}` +
			"\n\n" + stop), text: "Hello", finish: "STOP"},
		{name: "parts", from: "Mistral", serve: body(saying(`"content":[{"type":"text","text":"Riv"},"ers"]`) + stop),
			text: "Rivers", finish: "STOP"},
		{name: "part with a value", serve: body(saying(`"content":[{"type":"text","text":{"value":"Hello"}}]`) + stop),
			text: "Hello", finish: "STOP"},
		{name: "large image", from: "case image-large; open-webui/open-webui#20634", text: "Here is it.",
			serve: body(delta("Here is it.") + saying(`"images":[{"type":"image_url","image_url":{"url":"data:image/`+
				`png;base64,`+heavy+`"}}]`) + stop + done), finish: "STOP",
			omitted: []reply.OmittedOutput{reply.OmittedImage}},
		{name: "text behind a large image in one frame", serve: body(saying(`"images":[{"image_url":{"url":"`+heavy+
			`"}}],"content":"Here is it."`) + stop + done), text: "Here is it.", finish: "STOP",
			omitted: []reply.OmittedOutput{reply.OmittedImage}},
		{name: "only an image", serve: body(saying(`"image":{"b64_json":"AAAA"}`) + done),
			omitted: []reply.OmittedOutput{reply.OmittedImage}},
		{name: "image in a document", serve: answer(200, "application/json", `{"data":[{"b64_json":"AAAA"}],`+
			`"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}`), text: "Hello", finish: "STOP",
			omitted: []reply.OmittedOutput{reply.OmittedImage}},
		{name: "image part", serve: body(saying(`"content":[{"type":"text","text":"Hello"},{"type":"image_url",`+
			`"image_url":{"url":"x"}}]`) + stop), text: "Hello", finish: "STOP",
			omitted: []reply.OmittedOutput{reply.OmittedImage}},
		{name: "speech", from: "OpenAI's audio output", serve: body(saying(`"audio":{"id":"a","transcript":"Hel"}`) +
			saying(`"audio":{"transcript":"lo"}`) + saying(`"audio":{"data":"AAAA"}`) + stop), text: "Hello",
			finish: "STOP", omitted: []reply.OmittedOutput{reply.OmittedAudio}},
		{name: "unknown part", serve: body(saying(`"content":[{"type":"hologram","light":1}]`) + stop), finish: "STOP",
			omitted: []reply.OmittedOutput{reply.OmittedOther}},
		{name: "no images", serve: body(saying(`"content":"Hello","images":[],"audio":null,"tool_calls":[],`+
			`"function_call":null`) + stop), text: "Hello", finish: "STOP"},
		{name: "long text in one frame", serve: body(delta(strings.Repeat("A", 200<<10)) + stop),
			text: strings.Repeat("A", 200<<10), finish: "STOP"},
	})
}

// Nobody offers tools yet.
func TestUnaskedTools(t *testing.T) {
	t.Parallel()
	tool := `"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]`
	runAnswers(t, []answerTest{
		{name: "text before", serve: body(good + saying(tool) + strings.Replace(stop, "stop", "tool_calls", 1) + use +
			done), text: "Hello", code: reply.CodeProtocol, usage: &reply.Usage{PromptTokens: 7, CompletionTokens: 2,
			CachedTokens: new(3), ReasoningTokens: new(1)}},
		{name: "stop", from: "Ollama", serve: body(saying(tool) + stop + done), code: reply.CodeProtocol},
		{name: "legacy", serve: body(saying(`"function_call":{"name":"f","arguments":""}`) +
			strings.Replace(stop, "stop", "function_call", 1)), code: reply.CodeProtocol},
		{name: "message", serve: answer(200, "application/json", `{"choices":[{"message":{"content":null,`+tool+
			`},"finish_reason":"tool_calls"}]}`), code: reply.CodeProtocol},
		{name: "part", from: "Anthropic's form", serve: body(saying(`"content":[{"type":"tool_use","name":"f"}]`) +
			strings.Replace(stop, "stop", "tool_use", 1)), code: reply.CodeProtocol},
		{name: "malformed", from: "Gemini", serve: body(strings.Replace(stop, "stop", "MALFORMED_FUNCTION_CALL", 1)),
			code: reply.CodeProtocol},
		{name: "reason alone", serve: body(good + strings.Replace(stop, "stop", "tool_calls", 1)), text: "Hello",
			finish: "TOOL_CALLS"},
	})
}

// Errors stand in many places.
func TestErrorsAnywhere(t *testing.T) {
	t.Parallel()
	runAnswers(t, []answerTest{
		{name: "choice", from: "case choice-error-nofinish", text: "Rivers ", code: reply.CodeUpstream,
			serve: body(delta("Rivers ") + choice(`"delta":{"content":""},"finish_reason":null,`+
				`"error":{"code":502,"message":"provider went away"}`) + done)},
		{name: "beside a choice", from: "OpenRouter's documentation of errors in a stream", text: "Rivers ",
			serve: body(delta("Rivers ") +
				`data: {"error":{"code":"server_error","message":"boom"},"choices":[{"index":0,` +
				`"delta":{"content":""},"finish_reason":"error"}]}` + "\n\n"), code: reply.CodeUpstream},
		{name: "with text", serve: body(choice(`"delta":{"content":"Riv"},"error":{"code":429}`)), text: "Riv",
			code: reply.CodeRateLimited},
		{name: "base_resp", from: "case error-sse-base-resp; MiniMax",
			serve: body(`data: {"choices":null,"base_resp":{"status_code":1008,"status_msg":"x"}}` + "\n\n" + done),
			code:  reply.CodeQuota},
		{name: "base_resp of success", from: "MiniMax", text: "Hello",
			serve: body(good + `data: {"choices":[],"base_resp":{"status_code":0,"status_msg":""}}` + "\n\n" + done)},
		{name: "detail", from: "FastAPI", serve: body(`data: {"detail":"boom"}` + "\n\n"), code: reply.CodeUpstream},
		{name: "array", from: "Gemini", serve: answer(200, "application/json",
			`[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}]`), code: reply.CodeRateLimited},
		{name: "array in a stream", serve: body(good + `data: [{"error":{"code":503}}]` + "\n\n"), text: "Hello",
			code: reply.CodeUpstream},
		{name: "x_groq", from: "Groq", serve: body(good + `data: {"id":"x","choices":[],"x_groq":{"error":"boom"}}` +
			"\n\n" + done), text: "Hello", code: reply.CodeUpstream},
		{name: "code and message", from: "SiliconFlow", serve: answer(200, "application/json",
			`{"code":20012,"message":"boom","data":null}`), code: reply.CodeUpstream},
		{name: "error_code", from: "Baidu", serve: body(`data: {"error_code":18,"error_msg":"boom"}` + "\n\n"),
			code: reply.CodeUpstream},
		{name: "success is false", from: "Cloudflare", serve: answer(200, "application/json",
			`{"success":false,"errors":[{"code":7003,"message":"boom"}],"result":null}`), code: reply.CodeUpstream},
		{name: "plain text in a frame", serve: body(good + "data: Internal Server Error\n\n"), text: "Hello",
			code: reply.CodeProtocol},
		{name: "plain text", serve: answer(200, "text/plain", "This model's maximum context length is 4096 tokens."),
			code: reply.CodeContextTooLong},
		{name: "words of a broken frame", text: "Hello", code: reply.CodeProtocol,
			serve: body(good + `data: {"choices":[{"delta":{"content":"the maximum context length` + "\n\n")},
		{name: "empty error", serve: body(`data: {"error":{},"choices":[{"delta":{"content":"Hello"}}]}` + "\n\n" +
			`data: {"error":{"code":0,"message":""},"choices":[]}` + "\n\n" + stop), text: "Hello", finish: "STOP"},
		{name: "no error",
			serve: body(`data: {"code":0,"message":"success","choices":[{"delta":{"content":"Hello"}}]}` +
				"\n\n" + `data: {"code":200,"msg":"ok"}` + "\n\n" + stop), text: "Hello", finish: "STOP"},
		{name: "comment", serve: body(": error boom\n\n" + good + stop), text: "Hello", finish: "STOP"},
	})
}
