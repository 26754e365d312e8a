package upstream

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"parley/internal/reply"
)

// wording is how servers say one thing: a code of ours, and by what it is known. The servers
// of each are in the table of TestClassify and in testdata/servers, with the source of their
// words.
type wording struct {
	code reply.Code
	// statuses are those with which it may be said; nil is any.
	statuses []int
	// kinds are pieces of codes and types.
	kinds []string
	// words are said in the sentence.
	words []*regexp.Regexp
}

func patterns(texts ...string) (list []*regexp.Regexp) {
	for _, text := range texts {
		list = append(list, regexp.MustCompile(text))
	}
	return list
}

// tokens is a number of tokens, which may be written with commas.
const tokens = `(\d[\d,]*\d)`

// tooLong are the sentences about prompts that are too long. Where they name the limit it is
// the one group.
var tooLong = patterns(
	`maximum context length (?:is|of|:) ?`+tokens,
	`maximum context length: `+tokens,
	`too large for model with `+tokens+` maximum context length`,
	`maximum prompt length is `+tokens,
	`prompt is too long: \d+ tokens > `+tokens+` maximum`,
	`token count.{0,40}exceeds the maximum number of tokens allowed \(`+tokens+`\)`,
	`context length of only `+tokens,
	`available context size \(`+tokens+` tokens\)`,
	`model's context length \(`+tokens+` tokens\)`,
	`range of input length should be \[1, ?`+tokens+`\]`,
	`model token limit: ?`+tokens,
	`max_new_tokens.{0,3} must be <= ?`+tokens,
	`must have less than `+tokens+` tokens`,
	`tokens in the prompt cannot exceed `+tokens,
	`maximum allowed input length of `+tokens,
	`token count of \d+ exceeds the limit of `+tokens,
	`exceeds? (?:customer )?model maximum \(`+tokens+`\)`,
	`exceeds the model's max of `+tokens,
	`exceed context limit: \d+ \+ \d+ > `+tokens,
	`current length is \d+ while limit is `+tokens,
	`request too large for .{0,200}\blimit `+tokens,
	// Without a number that is the limit.
	`maximum context length`, `context length exceeded`, `context window`, `available context size`,
	`prompt is too long`, `input is too long`, `prompt too long`, `input (token )?length too long`,
	`too many tokens: size limit exceeded`, `more than max tokens allowed`,
	`reduce the length of the (messages|input|prompt)`, `exceeds the maximum number of tokens`,
	`greater than the context length`, `total tokens exceed`, `maximum number of input tokens`,
	`exceeds? max(imum)? length`,
)

// statusModerated is Cohere's own for a prompt that it does not answer.
const statusModerated = 498

// clientErrors are the statuses of requests that are refused for what they are. 0 stands for an
// error in a stream that names none.
var clientErrors = []int{0, http.StatusBadRequest, http.StatusPaymentRequired, http.StatusForbidden,
	http.StatusNotFound, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
	http.StatusUnavailableForLegalReasons, statusModerated}

// wordings are asked in their order.
var wordings = []wording{
	// A plan without long prompts, which Anthropic calls a matter of billing: a shorter one is the cure.
	{code: reply.CodeContextTooLong, words: patterns(`usage is required for long context`)},
	{code: reply.CodeQuota,
		kinds: []string{"insufficient_quota", "insufficient_user_quota", "billing", "spend_limit_exceeded",
			"credit_balance", "payment_required", "insufficient_balance", "quota_exceeded ", "exceeded_current_quota",
			"arrearage", "budget_exceeded", "base_resp_1008 ", "code_1113 "},
		words: patterns(`insufficient (account )?(balance|credit|funds)`, `credit balance is too low`,
			`(requires more|out of|never purchased|exceeded your monthly included|used all available|have any|no) credits`,
			`monthly spending limit`, `credits are depleted`, `budget has been exceeded`, `余额不足`, `额度不足`, `欠费`,
			`make sure your account is in good standing`, `exceeded current quota`)},
	{code: reply.CodeQuota, statuses: []int{0}, words: patterns(`quota (has been )?exceeded`)},
	{code: reply.CodeContextTooLong, statuses: clientErrors,
		kinds: []string{"context_length_exceeded", "context_window_exceeded", "exceed_context_size",
			"model_max_prompt_tokens_exceeded", "request_too_large", "code_1261 "},
		words: tooLong},
	{code: reply.CodeContextTooLong, statuses: []int{http.StatusTooManyRequests, http.StatusInternalServerError},
		words: patterns(`request too large for .{0,200}\blimit `+tokens, `available context size`,
			`input length too long`)},
	{code: reply.CodeContentFilter, statuses: clientErrors,
		kinds: []string{"content_filter", "content_policy", "responsibleaipolicyviolation", "data_inspection_failed",
			"datainspectionfailed", "moderation", "prohibited_content", "base_resp_1026 ", "base_resp_1027 ",
			"code_1301 "},
		words: patterns(`input was flagged`, `flagged (by|as|for)`, `requires moderation`, `inappropriate content`,
			`considered high risk`, `content management policy`, `content exists risk`,
			`violat(es?|ions?) .{0,20}usage guidelines`, `safety system`, `content policy`, `敏感`, `违规`)},
	{code: reply.CodeModelUnavailable, statuses: clientErrors,
		kinds: []string{"model_not_found", "model_not_available", "model_not_exist", "modelnotfound", "invalid_model",
			"model_decommissioned", "dedicated_endpoint_not_running", "deploymentnotfound", "resource_not_found_error",
			"code_1211 "},
		words: patterns(`\bmodels?\b.{0,200}?\b(does not exist|doesn't exist|not exist|not found|is not available|`+
			`no longer (available|supported)|(has been|was|is) (deprecated|removed|decommissioned|retired)|not deployed)`,
			`not found the model`, `invalid model\b`, `\b(no such|unknown) model\b`, `is not a valid model`,
			`no endpoints found for`, `no models? loaded`, `does not support chat`, `模型不存在`)},
	{code: reply.CodeModelUnavailable, statuses: []int{http.StatusNotFound}, words: patterns(`(^|: )model: \S+\s*$`)},
	{code: reply.CodeUnauthorized, statuses: clientErrors,
		kinds: []string{"invalid_api_key", "api_key_invalid", "invalidapikey", "authentication_error",
			"invalid_authentication", "permission_error", "unauthorized", "base_resp_1004 ", "base_resp_2049 "},
		words: patterns(`api key not valid`, `(incorrect|invalid|missing|wrong) api[ -]key`,
			`api key (provided )?is (invalid|missing)`, `no auth credentials`)},
	{code: reply.CodeRateLimited, statuses: []int{0, http.StatusTooManyRequests},
		kinds: []string{"rate_limit", "too_many_requests", "resource_exhausted", "throttling", "base_resp_1002 ",
			"base_resp_1039 ", "code_1302 ", "code_1303 ", "code_1305 "},
		words: patterns(`rate limit`, `too many requests`)},
}

// special returns the code of a refusal that its words decide, not its status alone.
func (r *refusal) special(status int) (reply.Code, bool) {
	if status == http.StatusPaymentRequired {
		return reply.CodeQuota, true
	}
	for _, w := range wordings {
		if w.statuses != nil && !slices.Contains(w.statuses, status) {
			continue
		}
		if r.kind(w.kinds...) || slices.ContainsFunc(w.words, r.matches) {
			return w.code, true
		}
	}
	return "", false
}

func (r *refusal) matches(words *regexp.Regexp) bool { return words.MatchString(r.message) }

// The windows that are believed. A smaller one would leave no room for an answer, a larger one
// is no number of tokens.
const (
	minWindow = 256
	maxWindow = 100_000_000
)

// otherwiseWritten follows digits that are not the whole number: 262.144, 1000k.
var otherwiseWritten = regexp.MustCompile(`^([.'_ ]\d{3}\b| ?[km]\b)`)

// limit returns the most tokens that a refusal for length names, 0 for none.
func (r *refusal) limit() int {
	if r.window >= minWindow {
		return r.window
	}
	for _, words := range tooLong {
		found := words.FindStringSubmatchIndex(r.message)
		if len(found) < 4 || found[2] < 0 || otherwiseWritten.MatchString(r.message[found[3]:]) {
			continue
		}
		n, err := strconv.Atoi(strings.ReplaceAll(r.message[found[2]:found[3]], ",", ""))
		if err == nil && n >= minWindow && n <= maxWindow {
			return n
		}
	}
	return 0
}
