package upstream_test

import (
	"errors"
	"testing"

	"parley/internal/reply"
	"parley/internal/upstream"
)

// What servers say when they refuse a call, in their own words, and where the words are from.
// A status of 200 stands for a stream that begins with them.
func TestClassify(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		// server, and where its words are written down: an issue, or its documentation. A † says
		// that they are as remembered, and have not been looked up.
		server, source string
		status         int
		body           string
		code           reply.Code
		tokens         int // The limit it names.
	}{
		// Too long.
		{"OpenAI", "earendil-works/pi#5929", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, reply.CodeContextTooLong, 8192},
		{"OpenAI, newer", "earendil-works/pi#129", 400, `{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}`, reply.CodeContextTooLong, 0},
		{"OpenAI, a minute's tokens", "OpenAI: guides/rate-limits †", 429, `{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 45000. The input or output tokens must be reduced in order to run successfully.","type":"tokens","code":"rate_limit_exceeded"}}`, reply.CodeContextTooLong, 30000},
		{"Anthropic", "earendil-works/pi#129", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 213462 tokens > 200000 maximum"}}`, reply.CodeContextTooLong, 200000},
		{"Gemini", "cases/upstream/ctx-gemini", 400, `[{"error": {"code": 400, "message": "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}]`, reply.CodeContextTooLong, 1048576},
		{"OpenRouter", "ThinkInAIXYZ/deepchat#1320", 400, `{"error":{"message":"This endpoint's maximum context length is 1048576 tokens. However, you requested about 1293741 tokens (1228206 of text input, 65535 in the output). Please reduce the length of either one.","code":400,"metadata":{"provider_name":null}}}`, reply.CodeContextTooLong, 1048576},
		{"OpenRouter, Poolside", "earendil-works/pi#4943", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"Input length 131393 exceeds the maximum allowed input length of 131040 tokens.\"}}","provider_name":"Poolside"}}}`, reply.CodeContextTooLong, 131040},
		{"DeepSeek", "evalstate/fast-agent#621", 400, `{"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 131134 tokens (122942 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, reply.CodeContextTooLong, 131072},
		{"Groq", "thepersonalaicompany/amurex-backend#51", 400, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, reply.CodeContextTooLong, 0},
		{"Groq, a minute's tokens", "Groq: docs/rate-limits †", 413, `{"error":{"message":"Request too large for model llama-3.1-8b-instant in organization org_x service tier on_demand on tokens per minute (TPM): Limit 6000, Requested 7102, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}`, reply.CodeContextTooLong, 6000},
		{"Mistral", "earendil-works/pi: overflow.ts", 400, `{"object":"error","message":"Prompt contains 40015 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}`, reply.CodeContextTooLong, 32768},
		{"Together", "Together: docs/error-codes †", 422, `{"error":{"message":"Input validation error: inputs tokens + max_new_tokens must be <= 8193. Given: 9001 inputs tokens and 512 max_new_tokens","type":"invalid_request_error"}}`, reply.CodeContextTooLong, 8193},
		{"Fireworks", "Fireworks: guides/inference-error-codes †", 400, `{"error":{"object":"error","type":"invalid_request_error","message":"The prompt is too long: 140001, model maximum context length: 131071"}}`, reply.CodeContextTooLong, 131071},
		{"xAI", "earendil-works/pi: overflow.ts", 400, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}`, reply.CodeContextTooLong, 131072},
		{"Cohere", "Cohere: reference/errors †", 400, `{"message":"too many tokens: size limit exceeded by 919 tokens. total number of tokens in the prompt cannot exceed 4081 - received 5000. Try using a shorter or simplified prompt."}`, reply.CodeContextTooLong, 4081},
		{"vLLM", "earendil-works/pi#5929", 400, `{"object":"error","message":"This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your prompt contains at least 262145 input tokens.","type":"BadRequestError","param":"input_tokens","code":400}`, reply.CodeContextTooLong, 262144},
		{"llama.cpp", "openclaw/openclaw#64196", 400, `{"error":{"code":400,"message":"request (66202 tokens) exceeds the available context size (65536 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":66202,"n_ctx":65536}}`, reply.CodeContextTooLong, 65536},
		{"llama.cpp, by members", "llama.cpp: tools/server †", 400, `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}`, reply.CodeContextTooLong, 4096},
		{"llama.cpp, older", "openclaw/openclaw#64180", 500, `{"error":{"code":500,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"invalid_request_error"}}`, reply.CodeContextTooLong, 0},
		{"LM Studio", "cases/upstream/ctx-lmstudio", 200, "event: error\ndata: {\"error\": {\"message\": \"Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.\"}}\n\n", reply.CodeContextTooLong, 4096},
		{"LM Studio, older", "earendil-works/pi: overflow.ts", 400, `{"error":"The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input"}`, reply.CodeContextTooLong, 0},
		{"Ollama", "ollama: server/prompt.go †", 400, `{"error":{"message":"prompt too long; exceeded max context length by 23 tokens","type":"invalid_request_error"}}`, reply.CodeContextTooLong, 0},
		{"LiteLLM", "microsoft/RD-Agent#1123", 400, `{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: DeepseekException - {\"error\":{\"message\":\"This model's maximum context length is 65536 tokens. However, you requested 66581 tokens\"}}","type":null,"param":null,"code":"400"}}`, reply.CodeContextTooLong, 65536},
		{"TGI", "TGI: router/src/validation.rs †", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 `inputs` tokens and 100 `max_new_tokens`\",\"error_type\":\"validation\"}", reply.CodeContextTooLong, 4096},
		{"TGI, inputs", "TGI: router/src/validation.rs †", 422, "{\"error\":\"Input validation error: `inputs` must have less than 1024 tokens. Given: 3000\",\"error_type\":\"validation\"}", reply.CodeContextTooLong, 1024},
		{"SGLang", "sglang: managers/tokenizer_manager.py †", 400, `{"object":"error","message":"The input (40968 tokens) is longer than the model's context length (32768 tokens).","type":"BadRequestError","param":null,"code":400}`, reply.CodeContextTooLong, 32768},
		{"DashScope", "agentscope-ai/QwenPaw#6255", 400, `{"error":{"code":"invalid_parameter_error","message":"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 983616]","param":null,"type":"invalid_request_error"},"request_id":"81a3"}`, reply.CodeContextTooLong, 983616},
		{"MiniMax", "earendil-works/pi: overflow.ts", 400, `{"type":"error","error":{"type":"bad_request_error","message":"invalid params, context window exceeds limit (2013)","http_code":"400"}}`, reply.CodeContextTooLong, 0},
		{"Moonshot", "MoonshotAI/kimi-cli#2011", 400, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)","type":"invalid_request_error"}}`, reply.CodeContextTooLong, 262144},
		{"Zhipu", "Zhipu: dev/api/error-code †", 400,
			`{"error":{"code":"1261","message":"Prompt 超长"}}`, reply.CodeContextTooLong, 0},
		{"Cerebras", "earendil-works/pi#129", 400, `{"message":"Please reduce the length of the messages or completion. Current length is 9100 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}`, reply.CodeContextTooLong, 8192},
		{"Bedrock", "strands-agents/harness-sdk#3722", 400, `{"error":{"code":"validation_error","message":"prompt tokens (1200008) exceed model maximum (1050000) for openai.gpt-5.6-terra"}}`, reply.CodeContextTooLong, 1050000},
		{"Azure", "Azure: OpenAI reference †", 400, `{"error":{"message":"This model's maximum context length is 16385 tokens. However, your messages resulted in 20000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, reply.CodeContextTooLong, 16385},
		{"Perplexity", "Perplexity: api-reference †", 400, `{"error":{"message":"Requested 140000 input tokens exceed the model's context window","type":"bad_request","code":400}}`, reply.CodeContextTooLong, 0},

		// Money.
		{"OpenAI", "OpenAI: guides/error-codes †", 429, `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, reply.CodeQuota, 0},
		{"Anthropic", "Anthropic: api/errors †", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}`, reply.CodeQuota, 0},
		{"DeepSeek", "continuedev/continue#11387", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, reply.CodeQuota, 0},
		{"OpenRouter", "OpenRouter: docs/errors †", 402, `{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens."}}`, reply.CodeQuota, 0},
		{"xAI", "xAI: docs/debugging †", 403, `{"code":"The caller does not have permission to execute the specified operation","error":"Your team has either used all available credits or reached its monthly spending limit."}`, reply.CodeQuota, 0},
		{"Moonshot", "MoonshotAI/Kimi-K2#5", 403, `{"error":{"message":"Your account org-x is not active, organization <xx> exceeded current quota, please check your plan and billing details","type":"exceeded_current_quota_error"}}`, reply.CodeQuota, 0},
		{"MiniMax", "MiniMax-AI/MiniMax-M2#62", 500, `{"type":"error","error":{"type":"api_error","message":"insufficient balance (1008)"},"request_id":"06"}`, reply.CodeQuota, 0},
		{"ModelScope", "modelscope/modelscope#1691", 429, `{"error":{"http_code":"429","message":"insufficient balance (1008)","type":"insufficient_balance_error"}}`, reply.CodeQuota, 0},
		{"MiniMax, in the stream", "cases/upstream/error-sse-base-resp", 200, "event: error\ndata: {\"choices\": null, \"base_resp\": {\"status_code\": 1008, \"status_msg\": \"insufficient balance\"}}\n\ndata: [DONE]\n\n", reply.CodeQuota, 0},
		{"Zhipu", "Zhipu: dev/api/error-code †", 429,
			`{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}`, reply.CodeQuota, 0},
		{"DashScope", "DashScope: error-code †", 400, `{"error":{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","type":"Arrearage"}}`, reply.CodeQuota, 0},
		{"LiteLLM", "LiteLLM: proxy/users †", 400, `{"error":{"message":"Budget has been exceeded! Current cost: 20.1, Max budget: 20.0","type":"budget_exceeded","param":null,"code":"400"}}`, reply.CodeQuota, 0},
		{"Hugging Face", "Hugging Face: inference-providers/pricing †", 402, `{"error":"You have exceeded your monthly included credits for Inference Providers."}`, reply.CodeQuota, 0},
		{"New API", "QuantumNous/new-api#6929", 403, `{"error":{"message":"用户额度不足, 剩余额度: -0.000002","type":"new_api_error","code":"insufficient_user_quota"}}`, reply.CodeQuota, 0},

		// Moderation.
		{"OpenAI", "OpenAI: guides/error-codes †", 400, `{"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error","code":"content_policy_violation"}}`, reply.CodeContentFilter, 0},
		{"Azure", "Azure: content-filter †", 400, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, reply.CodeContentFilter, 0},
		{"OpenRouter", "cases/upstream/moderated-403", 403, `{"error": {"code": 403, "message": "input was flagged", "metadata": {"reasons": ["violence"], "flagged_input": "x", "provider_name": "p"}}}`, reply.CodeContentFilter, 0},
		{"xAI", "xAI: docs/debugging †", 403, `{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_VIOLENCE"}`, reply.CodeContentFilter, 0},
		{"Moonshot", "MoonshotAI/kimi-cli#1002", 400, `{"error":{"code":400,"message":"The request was rejected because it was considered high risk","param":"prompt","type":"content_filter"}}`, reply.CodeContentFilter, 0},
		{"DashScope", "QwenLM/qwen-code#3145", 400, `{"error":{"code":"data_inspection_failed","message":"<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.","param":null,"type":"data_inspection_failed"}}`, reply.CodeContentFilter, 0},
		{"DeepSeek", "DeepSeek: error words †", 400, `{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, reply.CodeContentFilter, 0},
		{"Zhipu", "Zhipu: dev/api/error-code †", 400, `{"error":{"code":"1301","message":"系统检测到输入或生成内容可能包含不安全或敏感内容"}}`, reply.CodeContentFilter, 0},
		{"MiniMax", "MiniMax: error codes †", 200, "event: error\ndata: {\"base_resp\":{\"status_code\":1026,\"status_msg\":\"input new_sensitive\"}}\n\n", reply.CodeContentFilter, 0},

		// Keys.
		{"OpenAI", "OpenAI: guides/error-codes †", 401, `{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, reply.CodeUnauthorized, 0},
		{"Gemini", "Gemini: troubleshooting †", 400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]`, reply.CodeUnauthorized, 0},
		{"xAI", "xAI: docs/debugging †", 400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz."}`, reply.CodeUnauthorized, 0},
		{"OpenRouter", "OpenRouter: docs/errors †", 401, `{"error":{"message":"No auth credentials found","code":401}}`, reply.CodeUnauthorized, 0},
		{"DashScope", "DashScope: error-code †", 401, `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, reply.CodeUnauthorized, 0},
		{"MiniMax", "MiniMax: error codes †", 200, "event: error\ndata: {\"base_resp\":{\"status_code\":1004,\"status_msg\":\"login fail: Please carry the API secret key\"}}\n\n", reply.CodeUnauthorized, 0},
		{"vLLM", "vLLM: openai/api_server.py †", 401, `{"error":"Unauthorized"}`, reply.CodeUnauthorized, 0},
		{"Mistral", "Mistral: api †", 401, `{"message":"Unauthorized","request_id":"x"}`, reply.CodeUnauthorized, 0},

		// Models.
		{"OpenAI", "OpenAI: guides/error-codes †", 404, "{\"error\":{\"message\":\"The model `x` does not exist or you do not have access to it.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}", reply.CodeModelUnavailable, 0},
		{"Anthropic", "Anthropic: api/errors †", 404, `{"type":"error","error":{"type":"not_found_error","message":"model: claude-x not found"}}`, reply.CodeModelUnavailable, 0},
		{"Azure", "Azure: OpenAI reference †", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, reply.CodeModelUnavailable, 0},
		{"Gemini", "Gemini: troubleshooting †", 404, `[{"error":{"code":404,"message":"models/x is not found for API version v1main, or is not supported for generateContent.","status":"NOT_FOUND"}}]`, reply.CodeModelUnavailable, 0},
		{"OpenRouter", "OpenRouter: docs/errors †", 400, `{"error":{"message":"x/y is not a valid model ID","code":400}}`, reply.CodeModelUnavailable, 0},
		{"OpenRouter, none left", "OpenRouter: docs/errors †", 404, `{"error":{"message":"No endpoints found for x/y.","code":404}}`, reply.CodeModelUnavailable, 0},
		{"DeepSeek", "DeepSeek: error words †", 400, `{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, reply.CodeModelUnavailable, 0},
		{"Groq", "Groq: docs/deprecations †", 400, "{\"error\":{\"message\":\"The model `x` has been decommissioned and is no longer supported.\",\"type\":\"invalid_request_error\",\"code\":\"model_decommissioned\"}}", reply.CodeModelUnavailable, 0},
		{"Mistral", "Mistral: api †", 400, `{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}`, reply.CodeModelUnavailable, 0},
		{"Together", "HeyPuter/puter#3168", 400, `{"id":"o","error":{"message":"Unable to access non-serverless model x.","type":"invalid_request_error","param":null,"code":"model_not_available"}}`, reply.CodeModelUnavailable, 0},
		{"Fireworks", "bobmatnyc/trusty-tools#2510", 404, `{"error":{"object":"error","type":"invalid_request_error","code":"NOT_FOUND","message":"Model not found, inaccessible, and/or not deployed"}}`, reply.CodeModelUnavailable, 0},
		{"xAI", "xAI: docs/debugging †", 404, `{"code":"Some requested entity was not found","error":"The model x does not exist or your team y does not have access to it."}`, reply.CodeModelUnavailable, 0},
		{"Cohere", "AkshitIreddy/AI-Powered-Video-Tutorial-Generator#3", 404, `{"message":"model 'x' not found, make sure the correct model ID was used and that you have access to the model."}`, reply.CodeModelUnavailable, 0},
		{"Perplexity", "bhdicaire/visioStencils#3", 400, `{"error":{"message":"Invalid model 'x'. Permitted models can be found in the documentation at https://docs.perplexity.ai/docs/model-cards.","type":"invalid_model","code":400}}`, reply.CodeModelUnavailable, 0},
		{"vLLM", "vLLM: serving_models.py †", 404, "{\"object\":\"error\",\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}", reply.CodeModelUnavailable, 0},
		{"Ollama", "ollama: server/routes.go †", 404, `{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`, reply.CodeModelUnavailable, 0},
		{"LM Studio", "LM Studio: bug tracker †", 404, `{"error":{"message":"No models loaded. Please load a model in the developer page or use the 'lms load' command.","type":"invalid_request_error","param":"model","code":"model_not_found"}}`, reply.CodeModelUnavailable, 0},
		{"Moonshot", "Moonshot: docs/api/errors †", 404, `{"error":{"message":"Not found the model x or Permission denied","type":"resource_not_found_error"}}`, reply.CodeModelUnavailable, 0},
		{"Zhipu", "Zhipu: dev/api/error-code †", 400,
			`{"error":{"code":"1211","message":"模型不存在，请检查模型代码。"}}`, reply.CodeModelUnavailable, 0},
		{"DashScope", "DashScope: error-code †", 404, "{\"error\":{\"message\":\"The model `x` does not exist or you do not have access to it.\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}", reply.CodeModelUnavailable, 0},

		// Rates.
		{"OpenAI", "OpenAI: guides/error-codes †", 429, `{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1.","type":"requests","code":"rate_limit_exceeded"}}`, reply.CodeRateLimited, 0},
		{"Gemini, free of charge", "Gemini: rate-limits †", 429, `[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 39s.","status":"RESOURCE_EXHAUSTED"}}]`, reply.CodeRateLimited, 0},
		{"Bedrock", "jin-bo/agentao#88", 429, `{"message":"Too many tokens, please wait before trying again."}`, reply.CodeRateLimited, 0},
		{"DashScope", "DashScope: error-code †", 429, `{"error":{"code":"limit_requests","message":"You have exceeded your current request limit."}}`, reply.CodeRateLimited, 0},
		{"MiniMax", "MiniMax: error codes †", 200, "event: error\ndata: {\"base_resp\":{\"status_code\":1002,\"status_msg\":\"rate limit\"}}\n\n", reply.CodeRateLimited, 0},
		{"Zhipu", "Zhipu: dev/api/error-code †", 429,
			`{"error":{"code":"1302","message":"您的账户已达到速率限制"}}`, reply.CodeRateLimited, 0},

		// What is none of these.
		{"an overloaded server that says so of its context", "made up", 503,
			`{"error":"no slot with a context window is free"}`, reply.CodeUnavailable, 0},
		{"Anthropic, overloaded", "Anthropic: api/errors †", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, reply.CodeUnavailable, 0},
		{"a parameter", "cases/upstream/refuses-temperature", 400, `{"error": {"message": "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}`, reply.CodeRejected, 0},
		{"a path, in words", "Go: net/http †", 404, "404 page not found\n", reply.CodeProtocol, 0},
		{"a path, FastAPI", "FastAPI †", 404, `{"detail":"Not Found"}`, reply.CodeProtocol, 0},
		{"a path, OpenAI", "OpenAI: guides/error-codes †", 404, `{"error":{"message":"Invalid URL (POST /chat/completions)","type":"invalid_request_error","param":null,"code":null}}`, reply.CodeProtocol, 0},
		{"a limit that is none", "made up", 400, `{"error":{"message":"maximum context length is 1 tokens","code":"context_length_exceeded"}}`, reply.CodeContextTooLong, 0},
		{"a limit with points", "made up", 400, `{"error":{"message":"maximum context length is 262.144 tokens"}}`, reply.CodeContextTooLong, 0},
		{"a limit in thousands", "made up", 400, `{"error":{"message":"maximum context length is 1000K tokens"}}`, reply.CodeContextTooLong, 0},
		{"a limit that is far too much", "made up", 400, `{"error":{"message":"maximum context length is 99999999999999999999 tokens"}}`, reply.CodeContextTooLong, 0},
	} {
		t.Run(test.server+"/"+string(test.code), func(t *testing.T) {
			t.Parallel()
			kind := "application/json"
			if test.status == 200 {
				kind = "text/event-stream"
			}
			c := client(t, once(serve(t, says(test.status, kind, test.body))))
			_, _, err := generate(t, c)
			wantCode(t, err, test.code)
			var failure *reply.Error
			if !errors.As(err, &failure) || failure.ContextTokens != test.tokens {
				t.Errorf("the limit is %d, want %d (%s)", failure.ContextTokens, test.tokens, test.source)
			}
			if got, known := c.ContextTokens("test"); got != test.tokens || known != (test.tokens > 0) {
				t.Errorf("learnt %d, %t, want %d", got, known, test.tokens)
			}
		})
	}
}

var _ reply.Windows = (*upstream.Client)(nil)
