package upstream

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// fact is one thing that a model server was found not to understand of the protocol.
type fact int

const (
	noTemperature fact = iota
	noTopP
	noPresencePenalty
	noFrequencyPenalty
	noStop
	noSeed
	noReasoningEffort
	noVerbosity
	noMaxTokens
	noStreamOptions // The server then counts no usage, or counts it unasked.
	// completionTokens: the model wants max_completion_tokens in place of max_tokens, as
	// OpenAI's reasoning models do.
	completionTokens
	// oneOfSampling: temperature and top_p are not taken together, as by Anthropic's newer models.
	oneOfSampling
	noSystemRole
	noDeveloperRole
	numFacts
)

// dialect is a set of facts.
type dialect uint32

func (d dialect) has(f fact) bool        { return d&(1<<f) != 0 }
func (d dialect) with(f fact) dialect    { return d | 1<<f }
func (d dialect) without(f fact) dialect { return d &^ (1 << f) }

// member is a member of the request that a server may refuse to know. response_format is none:
// an answer in another form than was asked for is worse than an error.
type member struct {
	fact fact
	// name is that of ParametersInput; empty for what nobody has set.
	name string
	// pattern finds the member in a sentence. Names that are words of their own count only
	// where they are quoted, or said to be a parameter.
	pattern *regexp.Regexp
	// param is how the server names the member where it names it alone.
	param []string
	sent  func(r *request) bool
	drop  func(r *request)
}

// named finds a name that is no word beside it.
func named(names string) *regexp.Regexp {
	return regexp.MustCompile(`(^|[^a-z0-9_])(` + names + `)($|[^a-z0-9_])`)
}

// quoted finds a name that is a word as well.
func quoted(name string) *regexp.Regexp {
	return regexp.MustCompile("[`'\"\\[]" + name + "[`'\"\\]]|" +
		`(parameters?|arguments?|fields?|options?|property|properties|members?|inputs?|model|supplied|supported)` +
		`(:|\s)\s?` + name + `($|[^a-z0-9_])|^\s*` + name + `\s*:`)
}

var members = []member{
	{noTemperature, "temperature", named("temperature"), []string{"temperature"},
		func(r *request) bool { return r.Temperature != nil }, func(r *request) { r.Temperature = nil }},
	{noTopP, "topP", named("top_p|topp"), []string{"top_p"},
		func(r *request) bool { return r.TopP != nil }, func(r *request) { r.TopP = nil }},
	{noMaxTokens, "maxTokens", named("max_tokens|max_completion_tokens|maxtokens|maxcompletiontokens"),
		[]string{"max_tokens", "max_completion_tokens"},
		func(r *request) bool { return r.MaxTokens != nil || r.MaxCompletionTokens != nil },
		func(r *request) { r.MaxTokens, r.MaxCompletionTokens = nil, nil }},
	{noStop, "stop", quoted("stop"), []string{"stop"},
		func(r *request) bool { return r.Stop != nil }, func(r *request) { r.Stop = nil }},
	{noSeed, "seed", quoted("seed"), []string{"seed"},
		func(r *request) bool { return r.Seed != nil }, func(r *request) { r.Seed = nil }},
	{noPresencePenalty, "presencePenalty", named("presence_penalty|presencepenalty|penalty is not enabled"),
		[]string{"presence_penalty"},
		func(r *request) bool { return r.PresencePenalty != nil }, func(r *request) { r.PresencePenalty = nil }},
	{noFrequencyPenalty, "frequencyPenalty", named("frequency_penalty|frequencypenalty|penalty is not enabled"),
		[]string{"frequency_penalty"},
		func(r *request) bool { return r.FrequencyPenalty != nil }, func(r *request) { r.FrequencyPenalty = nil }},
	{noReasoningEffort, "reasoningEffort",
		named(`reasoning_effort|reasoningeffort|reasoning\.effort|does not support thinking|` +
			`think value|thinking (level|budget|mode)`), []string{"reasoning_effort", "reasoning.effort", "reasoning"},
		func(r *request) bool { return r.ReasoningEffort != "" }, func(r *request) { r.ReasoningEffort = "" }},
	{noVerbosity, "verbosity", named("verbosity"), []string{"verbosity", "text.verbosity"},
		func(r *request) bool { return r.Verbosity != "" }, func(r *request) { r.Verbosity = "" }},
	{noStreamOptions, "", named("stream_options|streamoptions|include_usage"),
		[]string{"stream_options", "stream_options.include_usage"},
		func(r *request) bool { return r.StreamOptions != nil }, func(r *request) { r.StreamOptions = nil }},
}

var (
	// ofValue is how a server refuses a value that it does not take, of a parameter that it knows:
	// the next value may be fine. "Only the default is supported" is not of those.
	ofValue = regexp.MustCompile(`must be (in|between|less|greater|at (most|least)|one of|within|positive|[<>])|` +
		`out of range|\brange\b|too (large|big|high|small|low|long|many)|less than or equal|greater than or equal|` +
		`should be (in|between|less|greater|<|>)|not one of|exceeds?\b|at most|maximum (value|number)|` +
		`invalid value|is illegal|supports up to|array too long|string too long|above maximum|below minimum`)
	onlyDefault = regexp.MustCompile(`only the default|only supports? (the )?default|only 1\b|deprecated`)
	both        = regexp.MustCompile(`cannot both|can't both|not both|only one of|both be (specified|set)|mutually exclusive`)
	// systemRefused says that the role of the system is not known, and developerRefused that the
	// developer's is not.
	systemRefused = regexp.MustCompile("system (role|message|prompt|instruction)s?.{0,40}not (be )?(supported|allowed|enabled)|" +
		"(developer instruction|system instruction)s? (is|are) not (enabled|supported)|" +
		"role.{0,60}(does not support|not support|unsupported|invalid|unknown|unexpected).{0,20}[`'\"]?system\\b|" +
		"(unknown|unexpected|invalid|unsupported).{0,30}role.{0,10}[`'\"]?system\\b|" +
		"only user.{0,20}assistant roles|roles must alternate")
	developerRefused = regexp.MustCompile("(unknown variant|does not support|not support|unsupported|invalid|unknown|unexpected)" +
		".{0,40}[`'\"]?developer\\b|[`'\"]developer[`'\"].{0,40}(is not|not one of|invalid)")
)

// maxAdaptions bounds how often a call is made again for what the server refuses to know.
const maxAdaptions = 4

// adapt makes one attempt, and up to four more, each without what the server has refused to
// know although the protocol has it. What is learnt so holds for an hour.
func (c *Client) adapt(ctx context.Context, req *reply.Request, s *sink) (reply.Result, error) {
	d := c.learnt.of(req.Model, time.Now())
	for tries := 0; ; tries++ {
		body, err := requestBody(req, d)
		if err != nil {
			return reply.Result{}, &reply.Error{Code: reply.CodeRejected, Err: err}
		}
		result, refused, err := c.attempt(ctx, body, s)
		result.Dropped = d.dropped(req.Parameters)
		if len(refused) == 0 || ctx.Err() != nil || tries == maxAdaptions {
			return result, err
		}
		r, code := readRefusal(refused), codeOf(err)
		next, lasting := d.after(req, r, code)
		if next == d {
			return result, err
		}
		if lasting {
			said, _ := d.after(req, r.unquoted(req), code)
			lasting = said == next
		}
		if lasting {
			c.learnt.learn(req.Model, d, next, time.Now())
		}
		c.logger.InfoContext(ctx, "model server refuses a part of the request, which is left out", "model", req.Model,
			"parameters", next.dropped(req.Parameters), "learnt", lasting)
		d = next
	}
}

// codeOf is the code of a failure, "" for any other error.
func codeOf(err error) reply.Code {
	if failure, ok := errors.AsType[*reply.Error](err); ok {
		return failure.Code
	}
	return ""
}

// after returns the dialect in which a call is made again that was refused so, the same one
// when nothing can be left out, and whether that says something about other calls as well.
func (d dialect) after(req *reply.Request, r refusal, code reply.Code) (next dialect, lasting bool) {
	sent := d.sent(req)
	switch code {
	case reply.CodeRejected, reply.CodeModelUnavailable:
	case reply.CodeContextTooLong:
		// "max_tokens is too large: the context length is …" is about the answer.
		if d.refuses(&r, sent, noMaxTokens) && r.says("is too large") {
			return d.with(noMaxTokens), false
		}
		return d, false
	default:
		return d, false
	}
	if slices.Contains(r.parameters, "response_format") {
		return d, false
	}
	if next := d.otherRole(&r, req); next != d {
		return next, true
	}
	lasting = !ofValue.MatchString(r.message) || onlyDefault.MatchString(r.message)
	if sent.Temperature != nil && sent.TopP != nil && both.MatchString(r.message) {
		return d.with(oneOfSampling), true
	}
	next = d
	for _, m := range members {
		switch {
		case !m.sent(sent) || !d.refuses(&r, sent, m.fact):
		case m.fact == noMaxTokens:
			next = next.otherLimit(&r)
		default:
			next = next.with(m.fact)
		}
	}
	return next, lasting
}

// sent is the request as it was, but for its messages.
func (d dialect) sent(req *reply.Request) *request {
	r := newRequest(req, d)
	return &r
}

// refuses reports whether a refusal is about a member. What is named as a parameter counts
// before what is said.
func (d dialect) refuses(r *refusal, sent *request, f fact) bool {
	i := slices.IndexFunc(members, func(m member) bool { return m.fact == f })
	if !members[i].sent(sent) {
		return false
	}
	known := slices.ContainsFunc(r.parameters, func(p string) bool {
		return slices.ContainsFunc(members, func(m member) bool { return slices.Contains(m.param, p) })
	})
	if known {
		return slices.ContainsFunc(members[i].param, func(p string) bool { return slices.Contains(r.parameters, p) })
	}
	return members[i].pattern.MatchString(r.message)
}

// otherLimit is the dialect with the other name for the limit of an answer, or with none when
// the value is not taken, or neither name is known.
func (d dialect) otherLimit(r *refusal) dialect {
	if d.has(completionTokens) { // The other name was refused to get here.
		if r.says("use 'max_tokens'", "use max_tokens") {
			return d.without(completionTokens)
		}
		return d.without(completionTokens).with(noMaxTokens)
	}
	if r.says("max_completion_tokens") && !ofValue.MatchString(r.message) || r.kind("unsupported_parameter") {
		return d.with(completionTokens)
	}
	return d.with(noMaxTokens)
}

// otherRole is the dialect in which the system prompt is said by another role, where that is
// what was refused: the system's, else the developer's, else the user's.
func (d dialect) otherRole(r *refusal, req *reply.Request) dialect {
	if len(req.Messages) == 0 || req.Messages[0].Role != prompt.System {
		return d
	}
	switch d.systemRole() {
	case prompt.System:
		if !systemRefused.MatchString(r.message) {
			return d
		}
		d = d.with(noSystemRole)
		if !r.says("'system' with this model") { // Only OpenAI has another word for it.
			d = d.with(noDeveloperRole)
		}
	case developer:
		if developerRefused.MatchString(r.message) {
			d = d.with(noDeveloperRole)
		}
	}
	return d
}

// developer is the role that OpenAI's reasoning models have for the system prompt.
const developer prompt.Role = "developer"

// systemRole is the role that says the system prompt.
func (d dialect) systemRole() prompt.Role {
	switch {
	case !d.has(noSystemRole):
		return prompt.System
	case !d.has(noDeveloperRole):
		return developer
	default:
		return prompt.User
	}
}

// roles returns the messages with the system prompt said by a role that the model knows. One
// that knows none gets it in front of the first question.
func (d dialect) roles(messages []prompt.Message) []prompt.Message {
	role := d.systemRole()
	if role == prompt.System || len(messages) == 0 || messages[0].Role != prompt.System {
		return messages
	}
	first := messages[0]
	first.Role = role
	if role == prompt.User && len(messages) > 1 && messages[1].Role == prompt.User {
		first.Parts = append(slices.Clip(first.Parts), messages[1].Parts...)
		return append([]prompt.Message{first}, messages[2:]...)
	}
	return append([]prompt.Message{first}, messages[1:]...)
}

// dropped names what was set and is left out, as ParametersInput spells it.
func (d dialect) dropped(p reply.Parameters) []string {
	if d == 0 {
		return nil
	}
	all := newRequest(&reply.Request{Parameters: p}, 0)
	left := newRequest(&reply.Request{Parameters: p}, d)
	var names []string
	for _, m := range members {
		if m.name != "" && m.sent(&all) && !m.sent(&left) {
			names = append(names, m.name)
		}
	}
	return names
}

const (
	// learntFor is how long a server is taken at its word about what it does not know.
	learntFor = time.Hour
	// maxLearntModels bounds the memory for models; beyond it all is forgotten, which costs a
	// refused request each.
	maxLearntModels = 1000
)

// learnt is what was found out about the models of a server. It is safe for concurrent use.
type learnt struct {
	mu     sync.Mutex // guards the field below
	models map[string]*[numFacts]time.Time
}

// of returns what is known of a model at a moment.
func (l *learnt) of(model string, now time.Time) (d dialect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.models[model]; until != nil {
		for f := range numFacts {
			if now.Before(until[f]) {
				d = d.with(f)
			}
		}
	}
	return d
}

// learn notes what has changed of a dialect.
func (l *learnt) learn(model string, before, after dialect, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.models == nil || len(l.models) >= maxLearntModels {
		l.models = make(map[string]*[numFacts]time.Time)
	}
	until := l.models[model]
	if until == nil {
		until = new([numFacts]time.Time)
		l.models[strings.Clone(model)] = until
	}
	for f := range numFacts {
		switch {
		case before.has(f) && !after.has(f):
			until[f] = time.Time{}
		case !before.has(f) && after.has(f):
			until[f] = now.Add(learntFor)
		}
	}
}

// adaptable reports whether an answer may say that the server does not know a part of the request.
func adaptable(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
}
