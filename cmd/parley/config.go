package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/hosts"
	"parley/internal/prompt"
	"parley/internal/secret"
	"parley/internal/upstream/eliza"
)

// config is everything Parley can be told, read from the environment once at
// start. No other package reads the environment.
type config struct {
	Addr        string
	DataDir     string
	DatabaseURL secret.Text // Empty: SQLite in DataDir.
	DBConns     int         // 0: what fits the database.
	NATSURL     secret.Text
	Mode        mode
	AuthKeys    secret.Text // Empty: generated beside the database.
	Issuer      string
	AccessTTL   time.Duration

	Page        toggle
	SiteName    string
	Suggestions []string // Empty: the built-in ones.

	AllowedOrigins    []string // Lower case, without a default port, as browsers send them.
	AllowLocalOrigins bool     // localhost, 127.0.0.1 and [::1] on any port are allowed too.
	Hosts             hosts.Patterns
	Documents         string // A file; empty: there are none.
	DocumentsOnly     toggle
	TrustedProxies    []netip.Prefix
	SignUpOpen        bool

	Lease                time.Duration
	OnCrash              crashPolicy
	WaitLimit            time.Duration
	Drain                time.Duration
	ReplyLimit           time.Duration
	MaxRunning           int
	MaxReplies           int
	QueueAge             time.Duration
	MaxMessage           int   // In bytes of UTF-8.
	MaxSystem            int   // Likewise.
	MaxPrompt            int   // Likewise.
	SendsPerMinute       int   // 0: no limit.
	TokensPerDay         int64 // 0: no limit.
	ConversationsPerDay  int64 // 0: no limit.
	BytesPerUser         int64 // 0: no limit.
	AnswerBytes          int
	AnswersPerUser       int
	Answers              int
	RequestsPerUser      int
	SubscriptionsPerUser int
	SocketsPerUser       int
	SocketsPerAddr       int

	Models        []string // Empty: whatever the upstream lists.
	Model         string   // Empty: the only one there is, else clients must choose.
	ContextTokens int      // 0: what the model server says.
	Silence       time.Duration
	ThinkTags     []string
	Context       prompt.Settings
	TitleModel    string // Empty: no model names conversations.
	Eliza         toggle
	Script        toggle
	OpenAIKey     secret.Text
	OpenAIBaseURL string // Empty: no upstream.
	OIDC          []oidcIssuer

	LogFormat logFormat
	LogLevel  slog.Level
	AccessLog toggle
	SlowAfter time.Duration // 0: no statement is slow.

	MetricsAddr string // Empty: none.
	TracesURL   string // Empty: spans are made for nobody.

	// LossyBus and ClockAhead are set in binaries built for tests only.
	LossyBus   bus.Lossy
	ClockAhead time.Duration // how wrong the clock of this machine is

	// Notes are remarks for the start-up log: things that are allowed and odd.
	Notes []string
}

// mode decides what a client may see of the inside: introspection, suggestions
// in errors and GraphiQL are there in development only.
type mode string

const (
	development mode = "development"
	production  mode = "production"
)

// crashPolicy says what becomes of a reply whose replica died.
type crashPolicy string

const (
	crashRetry     crashPolicy = "retry"
	crashInterrupt crashPolicy = "interrupt"
)

// toggle is a switch that can decide for itself.
type toggle string

const (
	on   toggle = "on"
	off  toggle = "off"
	auto toggle = "auto"
)

type logFormat string

const (
	logText logFormat = "text"
	logJSON logFormat = "json"
)

// oidcIssuer is a foreign issuer whose access tokens are accepted.
type oidcIssuer struct {
	Issuer   string
	Audience string
	JWKSURL  string
}

// balancedDrain is PARLEY_DRAIN where a load balancer stands before several replicas:
// time for it to look twice.
const balancedDrain = 5 * time.Second

// openAIBaseURL is where a key alone is sent.
const openAIBaseURL = "https://api.openai.com/v1"

// ElizaListed reports whether the built-in model is offered: when asked for, or
// when there is no other.
func (c config) ElizaListed() bool {
	return c.Eliza == on || c.Eliza == auto && c.OpenAIBaseURL == ""
}

// Loopback reports whether the server can be reached from this machine only.
func (c config) Loopback() bool { return isLoopback(c.Addr) }

// isLoopback reports whether an address of host and port is of this machine only.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Summary lists the settings in effect for the start-up log, secrets secret.Redacted.
func (c config) Summary() []slog.Attr {
	attrs := make([]slog.Attr, 0, len(variables))
	for _, v := range variables {
		key := strings.ToLower(strings.TrimPrefix(v.name, prefix))
		attrs = append(attrs, slog.Any(key, v.show(c)))
	}
	return attrs
}

// configError is one thing wrong with one variable.
type configError struct {
	Name     string
	Problem  string
	Accepted string // Empty when the problem says it all.
}

func (e *configError) Error() string {
	text := e.Name + ": " + e.Problem
	if e.Accepted != "" {
		text += "; accepted: " + e.Accepted
	}
	return text
}

// loadConfig reads the configuration from an environment as os.Environ returns
// it, and the files that it names for secrets. The error joins a *configError for
// everything that is wrong.
func loadConfig(environ []string) (config, error) { return readEnvironment(environ).load(environ) }

// load is loadConfig behind readEnvironment, which reads a file once: it may be a pipe.
func (env environment) load(environ []string) (config, error) {
	c := config{Notes: env.notes}
	errs := env.errs
	values := make(map[string]string)
	for name, s := range env.settings {
		values[name] = s.value
	}
	failed := env.failed
	for _, v := range variables {
		value, set := values[v.name]
		if !set {
			value = v.value
		}
		if value == "" {
			continue
		}
		if err := v.parse(&c, value); err != nil {
			failed[v.name] = true
			problem := err.Error()
			if isQuoted(value) {
				problem += "; the quotes are part of it, as Docker takes them from an env file: leave them out"
			}
			errs = append(errs, &configError{Name: v.name, Problem: problem, Accepted: plain(v.accepted)})
		}
	}
	c.LossyBus, c.ClockAhead = lossyBus(environ), clockAhead(environ)
	c.derive(values)
	for _, e := range c.check() {
		// A complaint about a value that could not be read would only repeat it.
		if !failed[e.Name] && !slices.ContainsFunc(e.with, func(n string) bool { return failed[n] }) {
			errs = append(errs, &e.configError)
		}
	}
	return c, errors.Join(errs...)
}

// isQuoted reports whether a value stands in quotes, which a shell would have taken off.
func isQuoted(value string) bool {
	return len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]
}

// derive fills in the defaults that depend on other variables.
func (c *config) derive(values map[string]string) {
	local := c.Loopback()
	if c.Mode == "" {
		c.Mode = production
		if local {
			c.Mode = development
		}
	}
	if values["PARLEY_SIGNUP"] == "" {
		c.SignUpOpen = local && c.Mode == development
	}
	if values["PARLEY_ALLOWED_ORIGINS"] == "" {
		c.AllowLocalOrigins = c.Mode == development
	}
	if c.OpenAIBaseURL == "" && !c.OpenAIKey.IsZero() {
		c.OpenAIBaseURL = openAIBaseURL
	}
	if hosts := bus.Unverified(c.NATSURL.Reveal()); len(hosts) > 0 {
		c.Notes = append(c.Notes, "PARLEY_NATS_URL: nothing proves that "+strings.Join(hosts, ", ")+" is your NATS, "+
			"and others on the way may read what replicas tell each other, unless the network sees to that; "+
			"tls:// checks the certificate")
	}
	if values["PARLEY_DRAIN"] == "" && !c.NATSURL.IsZero() {
		c.Drain = balancedDrain
	}
	if values["PARLEY_MAX_REPLIES"] == "" {
		c.MaxReplies = repliesPerCore * runtime.GOMAXPROCS(0)
	}
	if c.Model == "" && len(c.Models) > 0 {
		c.Model = c.Models[0]
	}
}

// crossError is a configError that follows from several variables.
type crossError struct {
	configError
	with []string // The other variables it follows from.
}

// check reports what is wrong with the variables taken together.
func (c config) check() []crossError {
	var errs []crossError
	add := func(name, problem string, with ...string) {
		errs = append(errs, crossError{configError{Name: name, Problem: problem}, with})
	}
	if c.Model != "" && len(c.Models) > 0 && !slices.ContainsFunc(c.Models, func(m string) bool {
		return catalog.Same(m, c.Model)
	}) {
		add("PARLEY_MODEL", fmt.Sprintf("%q is not one of PARLEY_MODELS: %s", c.Model, strings.Join(c.Models, ", ")),
			"PARLEY_MODELS")
	}
	if c.Eliza == off && c.OpenAIBaseURL == "" {
		add("PARLEY_ELIZA", "off leaves no model at all: set OPENAI_API_KEY or OPENAI_BASE_URL, or leave the built-in model on",
			"OPENAI_API_KEY", "OPENAI_BASE_URL")
	}
	if !c.NATSURL.IsZero() {
		if c.AuthKeys.IsZero() {
			add("PARLEY_AUTH_KEYS", "required with PARLEY_NATS_URL: all replicas must sign with the same keys",
				"PARLEY_NATS_URL")
		}
		if c.DatabaseURL.IsZero() {
			add("PARLEY_DATABASE_URL", "required with PARLEY_NATS_URL: several replicas need a Postgres they share",
				"PARLEY_NATS_URL")
		}
	}
	if c.OpenAIBaseURL == "" && c.Model != "" && c.Model != eliza.Model && !c.BuiltIn(c.Model) {
		add("PARLEY_MODEL", fmt.Sprintf("there is no model server to ask for %q: set OPENAI_API_KEY or OPENAI_BASE_URL",
			c.Model),
			"OPENAI_API_KEY", "OPENAI_BASE_URL")
	}
	if c.OpenAIBaseURL == "" && c.TitleModel != "" && !c.BuiltIn(c.TitleModel) {
		add("PARLEY_TITLE_MODEL", fmt.Sprintf("there is no model server to ask for %q: set OPENAI_API_KEY or OPENAI_BASE_URL",
			c.TitleModel),
			"OPENAI_API_KEY", "OPENAI_BASE_URL")
	}
	if c.MetricsAddr != "" && c.MetricsAddr == c.Addr && !strings.HasSuffix(c.Addr, ":0") {
		add("PARLEY_METRICS_ADDR", "is PARLEY_ADDR, and metrics are not for everybody", "PARLEY_ADDR")
	}
	if !c.Hosts.Empty() && c.Mode != development {
		add("PARLEY_HOSTS", "is for development only, and this is production: host names are the proxy's business there, "+
			"and PARLEY_ALLOWED_ORIGINS says which pages may call", "PARLEY_MODE", "PARLEY_ADDR")
	}
	if c.DocumentsOnly == on && c.Documents == "" && c.Page == off {
		add("PARLEY_DOCUMENTS_ONLY", "nothing could be asked at all without PARLEY_DOCUMENTS, and without the chat page",
			"PARLEY_DOCUMENTS", "PARLEY_PAGE")
	}
	if c.WaitLimit > c.ReplyLimit {
		add("PARLEY_WAIT_LIMIT", fmt.Sprintf("%v is longer than a reply may take (PARLEY_REPLY_LIMIT, %v)", c.WaitLimit,
			c.ReplyLimit), "PARLEY_REPLY_LIMIT")
	}
	return slices.Concat(errs, c.checkSizes(), c.checkAnswers(), c.checkOIDC())
}

// checkSizes reports texts that may be sent but not be read or answered.
func (c config) checkSizes() []crossError {
	var errs []crossError
	if least := c.MaxMessage + c.MaxSystem; c.MaxPrompt < least {
		errs = append(errs, crossError{configError{Name: "PARLEY_MAX_PROMPT_BYTES", Problem: fmt.Sprintf(
			"less than a message and a system prompt may have together (%d)", least)},
			[]string{"PARLEY_MAX_MESSAGE_BYTES", "PARLEY_MAX_SYSTEM_PROMPT_BYTES"}})
	}
	if least := 2 * max(c.MaxMessage, c.MaxSystem); c.AnswerBytes < least {
		errs = append(errs, crossError{configError{Name: "PARLEY_ANSWER_BYTES", Problem: fmt.Sprintf(
			"less than twice what one text may have (%d)", least)},
			[]string{"PARLEY_MAX_MESSAGE_BYTES", "PARLEY_MAX_SYSTEM_PROMPT_BYTES"}})
	}
	return errs
}

// bodyBytes is how long a request must be able to be: JSON can make six bytes of one, and the
// document takes room too.
func (c config) bodyBytes() int {
	return max(1<<20, 6*max(c.MaxMessage, c.MaxSystem)+64<<10)
}

// checkAnswers reports bounds of large answers in which not one has room.
func (c config) checkAnswers() []crossError {
	var errs []crossError
	add := func(name, than, of string, limit int) {
		errs = append(errs, crossError{configError{Name: name, Problem: fmt.Sprintf("less than %s%s (%d)", than, of,
			limit)}, []string{of}})
	}
	if least := 2 * c.AnswerBytes; c.AnswersPerUser < least {
		add("PARLEY_ANSWERS_PER_USER", "twice ", "PARLEY_ANSWER_BYTES", least)
	}
	if c.Answers < c.AnswersPerUser {
		add("PARLEY_ANSWERS", "", "PARLEY_ANSWERS_PER_USER", c.AnswersPerUser)
	}
	return errs
}

// checkOIDC reports issuers without an audience or keys of their own.
func (c config) checkOIDC() []crossError {
	var errs []crossError
	names := []string{"PARLEY_OIDC_ISSUER", "PARLEY_OIDC_AUDIENCE", "PARLEY_OIDC_JWKS_URL"}
	count := make([]int, len(names))
	for _, o := range c.OIDC {
		for i, field := range []string{o.Issuer, o.Audience, o.JWKSURL} {
			if field != "" {
				count[i]++
			}
		}
	}
	for i, name := range names {
		if count[i] == len(c.OIDC) {
			continue
		}
		problem := "is required when another PARLEY_OIDC_ variable is set"
		if count[i] > 0 {
			problem = fmt.Sprintf("has %d of %d values", count[i], len(c.OIDC))
		}
		problem += ": each issuer needs one audience and one JWKS URL, in the same order"
		errs = append(errs, crossError{configError{Name: name, Problem: problem}, names})
	}
	seen := make(map[string]bool)
	for _, o := range c.OIDC {
		switch {
		case o.Issuer == "":
		case o.Issuer == c.Issuer:
			errs = append(errs, crossError{configError{Name: names[0],
				Problem: fmt.Sprintf("%q is Parley's own issuer, PARLEY_ISSUER", o.Issuer)}, []string{"PARLEY_ISSUER"}})
		case seen[o.Issuer]:
			errs = append(errs, crossError{configError{Name: names[0],
				Problem: fmt.Sprintf("%q is given twice", o.Issuer)}, nil})
		}
		seen[o.Issuer] = true
	}
	return errs
}

const (
	prefix = "PARLEY_"
	// testPrefix is of the variables that belong to the tests.
	testPrefix = "PARLEY_TEST_"
)

func isKnown(name string) bool {
	return slices.ContainsFunc(variables, func(v variable) bool { return v.name == name })
}

// linkName matches the variables that Kubernetes and Docker set in every
// container for a service called parley, or parley-something.
var linkName = regexp.MustCompile(
	`^PARLEY_(SERVICE_.*|PORT|PORT_.*|.+_SERVICE_HOST|.+_SERVICE_PORT(_.*)?|.+_PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?)$`)

// isLink reports whether a variable comes from a container engine rather than
// from a person. PARLEY_WEB_PORT may be either: the value tells.
func isLink(name, value string) bool {
	return linkName.MatchString(name) ||
		strings.HasPrefix(name, prefix) && strings.HasSuffix(name, "_PORT") && isLinkURL(value)
}

func isLinkURL(value string) bool {
	scheme, _, ok := strings.Cut(value, "://")
	return ok && (scheme == "tcp" || scheme == "udp" || scheme == "sctp")
}

// closest returns the word that the fewest slips lead to, and how many these are.
func closest(word string, words []string) (likely string, slips int) {
	slips = -1
	for _, w := range words {
		if d := distance(word, w); slips < 0 || d < slips {
			likely, slips = w, d
		}
	}
	return likely, slips
}

// distance is the number of slips between two names: a letter too many, one too
// few, a wrong one, or two swapped neighbours.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			replace := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d[i][j] = min(replace, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
