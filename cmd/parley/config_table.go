package main

import (
	"slices"
	"strings"
	"time"
)

// variable is one row of the configuration. The table makes the parsing, --help,
// the start-up log and the tables of docs/configuration.md.
type variable struct {
	group    string // The heading above the row, where a group begins.
	name     string
	value    string // The default that is parsed when the variable is unset.
	fallback string // What the default is, in words, where it is no constant.
	accepted string // Also the end of every error about the variable.
	meaning  string
	example  string
	secret   bool

	parse func(c *config, value string) error
	show  func(c config) any
}

// variables is the whole table, group by group.
var variables = slices.Concat(generalVariables, pageVariables, limitVariables)

// pageVariables are about the chat page.
var pageVariables = []variable{
	{
		group: "Chat page",
		name:  "PARLEY_PAGE", value: "on",
		accepted: "`on` or `off`",
		meaning: "Whether the chat page is served at /, and /session, by which it stays signed in. " +
			"Without it / leads to GraphiQL in development, and nowhere in production.",
		example: "off",
		parse:   func(c *config, v string) error { return parseOneOf(&c.Page, v, on, off) },
		show:    func(c config) any { return c.Page },
	},
	{
		name: "PARLEY_SITE_NAME", value: "Parley",
		accepted: "1 to 60 characters on one line",
		meaning:  "The name of this installation, as people see it.",
		example:  "Chat of Example Ltd",
		parse:    parseSiteName,
		show:     func(c config) any { return c.SiteName },
	},
	{
		name: "PARLEY_SUGGESTIONS", fallback: "four that fit every model",
		accepted: "at most 6 texts, separated by |, each of at most 200 characters on one line",
		meaning:  "What an empty conversation offers to ask, for those who do not know how to begin.",
		example:  "Plan a week of lunches | Explain this error to me",
		parse:    parseSuggestions,
		show:     func(c config) any { return strings.Join(c.Suggestions, " | ") },
	},
}

// The bounds that are not arbitrary: a lease shorter than 3 s expires in an
// ordinary pause of a machine, one longer than 5 min leaves a dead replica's
// replies hanging for as long.
var generalVariables = []variable{
	{
		group: "Server",
		name:  "PARLEY_ADDR", value: "127.0.0.1:8080",
		accepted: "host:port; no host means every interface",
		meaning:  "Where the server listens. A loopback address makes a development server: see PARLEY_MODE and PARLEY_SIGNUP.",
		example:  "0.0.0.0:8080",
		parse:    func(c *config, v string) error { return parseAddr(&c.Addr, v) },
		show:     func(c config) any { return c.Addr },
	},
	{
		name: "PARLEY_MODE", fallback: "`development` when PARLEY_ADDR is a loopback address, else `production`",
		accepted: "`development` or `production`",
		meaning:  "Development serves GraphiQL and introspection, adds suggestions to errors, and lets pages on localhost call.",
		example:  "production",
		parse:    func(c *config, v string) error { return parseOneOf(&c.Mode, v, development, production) },
		show:     func(c config) any { return c.Mode },
	},
	{
		name: "PARLEY_DRAIN", fallback: "`5s` with PARLEY_NATS_URL, else `0s`",
		accepted: "a duration from 0s to 1m",
		meaning:  "How long a server that is told to stop serves on, with /readyz at 503, so that load balancers see it first.",
		example:  "10s",
		parse:    func(c *config, v string) error { return parseDuration(&c.Drain, v, 0, time.Minute) },
		show:     func(c config) any { return c.Drain },
	},
	{
		name: "PARLEY_LOG", value: "text",
		accepted: "`text` or `json`",
		meaning:  "The format of the log, which goes to standard error.",
		example:  "json",
		parse:    func(c *config, v string) error { return parseOneOf(&c.LogFormat, v, logText, logJSON) },
		show:     func(c config) any { return c.LogFormat },
	},
	{
		name: "PARLEY_LOG_LEVEL", value: "info",
		accepted: "`debug`, `info`, `warn` or `error`",
		meaning:  "The lowest level that is logged.",
		example:  "debug",
		parse:    parseLogLevel,
		show:     func(c config) any { return strings.ToLower(c.LogLevel.String()) },
	},
	{
		name: "PARLEY_ACCESS_LOG", value: "off",
		accepted: "`on` or `off`",
		meaning:  "Whether each request, operation and socket gets a line in the log when it has ended.",
		example:  "on",
		parse:    func(c *config, v string) error { return parseOneOf(&c.AccessLog, v, on, off) },
		show:     func(c config) any { return c.AccessLog },
	},
	{
		name: "PARLEY_SLOW_STATEMENT", value: "0s",
		accepted: "a duration from 1ms to 1m; 0s means that none is",
		meaning:  "From which duration on a statement of the database is logged as slow, without its values.",
		example:  "250ms",
		parse: func(c *config, v string) error {
			return parseDurationOrNone(&c.SlowAfter, v, time.Millisecond, time.Minute)
		},
		show: func(c config) any { return c.SlowAfter },
	},
	{
		name: "PARLEY_METRICS_ADDR", fallback: "none",
		accepted: "host:port, another than that of PARLEY_ADDR; no host means every interface",
		meaning:  "Where Prometheus finds /metrics. In development, on a loopback address, /debug/pprof/ is there too.",
		example:  "127.0.0.1:9090",
		parse:    func(c *config, v string) error { return parseAddr(&c.MetricsAddr, v) },
		show:     func(c config) any { return c.MetricsAddr },
	},
	{
		name: "OTEL_EXPORTER_OTLP_ENDPOINT", fallback: "none",
		accepted: "an http:// or https:// URL without user, query and fragment",
		meaning:  "Where spans are exported to, by OTLP over HTTP. The other OTEL_ variables of the SDK apply.",
		example:  "http://localhost:4318",
		parse:    func(c *config, v string) error { return parseBaseURL(&c.TracesURL, v) },
		show:     func(c config) any { return c.TracesURL },
	},
	{
		group: "Storage and replicas",
		name:  "PARLEY_DATA_DIR", value: "./data",
		accepted: "a path; made when missing",
		meaning:  "The folder for the SQLite database and the generated keys.",
		example:  "/var/lib/parley",
		parse:    func(c *config, v string) error { c.DataDir = v; return nil },
		show:     func(c config) any { return c.DataDir },
	},
	{
		name: "PARLEY_DATABASE_URL", fallback: "SQLite in PARLEY_DATA_DIR", secret: true,
		accepted: "a postgres:// or postgresql:// URL",
		meaning:  "The Postgres database to use instead of SQLite.",
		example:  "postgres://parley:secret@db.example.com/parley?sslmode=verify-full",
		parse: func(c *config, v string) error {
			return parseSecretURL(&c.DatabaseURL, v, "postgres", "postgresql")
		},
		show: func(c config) any { return c.DatabaseURL },
	},
	{
		name: "PARLEY_DB_CONNECTIONS", fallback: "`20` to Postgres, `8` readers of SQLite",
		accepted: "a whole number from 4 to 1000",
		meaning:  "How many connections to the database may be open. SQLite has one writer beside.",
		example:  "50",
		parse:    func(c *config, v string) error { return parseInt(&c.DBConns, v, 4, 1000) },
		show: func(c config) any {
			if c.DBConns == 0 {
				return ""
			}
			return c.DBConns
		},
	},
	{
		name: "PARLEY_NATS_URL", secret: true,
		accepted: "nats:// or tls:// URLs, separated by commas",
		meaning:  "The NATS servers that connect several replicas. Installations that share NATS need different PARLEY_ISSUERs.",
		example:  "nats://parley:secret@nats-1.example.com:4222,nats://parley:secret@nats-2.example.com:4222",
		parse:    func(c *config, v string) error { return parseNATSURLs(&c.NATSURL, v) },
		show:     func(c config) any { return c.NATSURL },
	},
	{
		name: "PARLEY_LEASE", value: "15s",
		accepted: "a duration from 3s to 5m",
		meaning:  "How long a replica may be silent before others take over its replies.",
		example:  "30s",
		parse:    func(c *config, v string) error { return parseDuration(&c.Lease, v, 3*time.Second, 5*time.Minute) },
		show:     func(c config) any { return c.Lease },
	},
	{
		name: "PARLEY_ON_CRASH", value: "retry",
		accepted: "`retry` or `interrupt`",
		meaning:  "What happens to a reply whose replica died: generated again, or ended as INTERRUPTED with the text so far.",
		example:  "interrupt",
		parse:    func(c *config, v string) error { return parseOneOf(&c.OnCrash, v, crashRetry, crashInterrupt) },
		show:     func(c config) any { return c.OnCrash },
	},
	{
		group: "Models",
		name:  "OPENAI_API_KEY", fallback: "none", secret: true,
		accepted: "a key as the model server gives it",
		meaning:  "The key of the model server, sent as a bearer token. Without one no Authorization header is sent.",
		example:  "sk-0123456789abcdef",
		parse:    parseAPIKey,
		show:     func(c config) any { return c.OpenAIKey },
	},
	{
		name: "OPENAI_BASE_URL", fallback: "`" + openAIBaseURL +
			"` with OPENAI_API_KEY, else none: the built-in model answers",
		accepted: "an http:// or https:// URL up to and with the version, without user, query and fragment",
		meaning:  "The model server: any that speaks the OpenAI chat completions protocol.",
		example:  "http://127.0.0.1:11434/v1",
		parse: func(c *config, v string) error {
			return parseBaseURL(&c.OpenAIBaseURL, v)
		},
		show: func(c config) any { return c.OpenAIBaseURL },
	},
	{
		name: "PARLEY_MODELS", fallback: "what the model server lists",
		accepted: "comma-separated names of models, none twice",
		meaning:  "The models that clients may use. The first one is the default.",
		example:  "gpt-4.1-mini,gpt-4.1",
		parse:    func(c *config, v string) error { return parseList(&c.Models, v) },
		show:     func(c config) any { return strings.Join(c.Models, ",") },
	},
	{
		name: "PARLEY_MODEL", fallback: "the first of PARLEY_MODELS, or the only model there is",
		accepted: "the name of a model, one of PARLEY_MODELS when that is set",
		meaning:  "The model of conversations that name none.",
		example:  "gpt-4.1-mini",
		parse:    func(c *config, v string) error { c.Model = v; return nil },
		show:     func(c config) any { return c.Model },
	},
	{
		name: "PARLEY_CONTEXT_TOKENS", fallback: "what the model server says in its list of models or when it refuses",
		accepted: "a whole number from 256 to 100000000",
		meaning:  "How many tokens a prompt and its reply may have together, for each model of the model server.",
		example:  "32768",
		parse:    func(c *config, v string) error { return parseInt(&c.ContextTokens, v, 256, 100_000_000) },
		show: func(c config) any {
			if c.ContextTokens == 0 {
				return ""
			}
			return c.ContextTokens
		},
	},
	{
		name: "PARLEY_UPSTREAM_SILENCE", value: "5m",
		accepted: "a duration from 1s to 1h",
		meaning:  "How long a model server may be silent before the first piece of a reply and between two. A reply has no more than PARLEY_REPLY_LIMIT in all.",
		example:  "15m",
		parse:    func(c *config, v string) error { return parseDuration(&c.Silence, v, time.Second, time.Hour) },
		show:     func(c config) any { return c.Silence },
	},
	{
		name: "PARLEY_THINK_TAGS", fallback: "none: the model server takes reasoning apart, or it is text",
		accepted: "comma-separated names of tags of letters, digits, - and _, none twice, each with / in front or not",
		meaning:  "Between which tags a reply may begin with reasoning: think is for <think>…</think>. With / in front the template of the model has opened the tag already, so that a reply begins inside it. For model servers without a parser of their own.",
		example:  "think,thinking",
		parse:    func(c *config, v string) error { return parseThinkTags(&c.ThinkTags, v) },
		show:     func(c config) any { return strings.Join(c.ThinkTags, ",") },
	},
	{
		name: "PARLEY_CONTEXT", fallback: "`truncate` for a model whose limit is known, else `full`",
		accepted: "`full`, `truncate`, `last` and a number of turns from 1 to 1000, or `summarize`",
		meaning: "What a model is sent of a conversation that does not say it: everything, the newest turns that fit, " +
			"so many of them, or a summary of what does not fit and the newest.",
		example: "last 20",
		parse:   parseContext,
		show:    showContext,
	},
	{
		name:     "PARLEY_TITLE_MODEL",
		accepted: "the name of a model, which clients need not be offered",
		meaning:  "The model that names conversations. Unset: each keeps the beginning of its first question as its name.",
		example:  "gpt-4.1-nano",
		parse:    func(c *config, v string) error { c.TitleModel = v; return nil },
		show:     func(c config) any { return c.TitleModel },
	},
	{
		name: "PARLEY_ELIZA", value: "auto",
		accepted: "`on`, `off` or `auto`",
		meaning:  "Whether the built-in model is offered. It needs no key. Auto: only when there is no model server.",
		example:  "on",
		parse:    func(c *config, v string) error { return parseOneOf(&c.Eliza, v, on, off, auto) },
		show:     func(c config) any { return c.Eliza },
	},
	{
		name: "PARLEY_SCRIPT", value: "auto",
		accepted: "`on`, `off` or `auto`",
		meaning: "Whether the model `script` is offered, for building frontends: it does what a message " +
			"says ([commands](clients.md#build-every-state)), and is never the default unless PARLEY_MODEL says so. " +
			"Auto: only in development.",
		example: "off",
		parse:   func(c *config, v string) error { return parseOneOf(&c.Script, v, on, off, auto) },
		show:    func(c config) any { return c.Script },
	},
	{
		group: "Accounts and tokens",
		name:  "PARLEY_SIGNUP", fallback: "`open` in development on a loopback address, else `closed`",
		accepted: "`open` or `closed`",
		meaning:  "Whether anybody may create an account. When it is closed, `parley user add` creates accounts.",
		example:  "closed",
		parse:    parseSignUp,
		show: func(c config) any {
			if c.SignUpOpen {
				return "open"
			}
			return "closed"
		},
	},
	{
		name: "PARLEY_AUTH_KEYS", fallback: "generated beside the database", secret: true,
		accepted: "comma-separated kid:secret, a secret being at least 32 random bytes in base64url; the first signs",
		meaning:  "The keys that sign access tokens. To change one, put the new one first and drop the old one after 30 days; with several replicas see docs/operations.md.",
		example:  "2026a:RANDOM",
		parse:    parseAuthKeys,
		show:     func(c config) any { return c.AuthKeys },
	},
	{
		name: "PARLEY_ISSUER", value: "parley",
		accepted: "text without white space",
		meaning:  "The iss claim of access tokens. Installations that share keys need different issuers.",
		example:  "https://chat.example.com",
		parse:    func(c *config, v string) error { return parseWord(&c.Issuer, v) },
		show:     func(c config) any { return c.Issuer },
	},
	{
		name: "PARLEY_ACCESS_TTL", value: "15m",
		accepted: "a duration from 2s to 24h",
		meaning:  "How long an access token is valid; it is taken for 2m more. Sockets and streams end with their token; clients return with a new one.",
		example:  "5m",
		parse: func(c *config,
			v string) error {
			return parseDuration(&c.AccessTTL, v, 2*time.Second, 24*time.Hour)
		},
		show: func(c config) any { return c.AccessTTL },
	},
	{
		name: "PARLEY_OIDC_ISSUER", fallback: "none",
		accepted: "the iss claim of the issuer's tokens; several separated by commas",
		meaning:  "Other issuers whose access tokens are accepted beside Parley's own.",
		example:  "https://login.example.com/realms/main",
		parse: func(c *config, v string) error {
			return parseOIDC(c, v, parseWord, func(o *oidcIssuer) *string { return &o.Issuer })
		},
		show: func(c config) any { return joinOIDC(c, func(o oidcIssuer) string { return o.Issuer }) },
	},
	{
		name: "PARLEY_OIDC_AUDIENCE", fallback: "none; required with PARLEY_OIDC_ISSUER",
		accepted: "one audience for each issuer, separated by commas",
		meaning:  "The aud claim that a token of such an issuer must have.",
		example:  "parley",
		parse: func(c *config, v string) error {
			return parseOIDC(c, v, parseWord, func(o *oidcIssuer) *string { return &o.Audience })
		},
		show: func(c config) any { return joinOIDC(c, func(o oidcIssuer) string { return o.Audience }) },
	},
	{
		name: "PARLEY_OIDC_JWKS_URL", fallback: "none; required with PARLEY_OIDC_ISSUER",
		accepted: "one https:// URL for each issuer, separated by commas; http:// on loopback only",
		meaning:  "Where such an issuer publishes its keys.",
		example:  "https://login.example.com/realms/main/protocol/openid-connect/certs",
		parse: func(c *config, v string) error {
			return parseJWKSURLs(c, v)
		},
		show: func(c config) any { return joinOIDC(c, func(o oidcIssuer) string { return o.JWKSURL }) },
	},
	{
		group:    "Callers",
		name:     "PARLEY_ALLOWED_ORIGINS",
		fallback: "localhost, 127.0.0.1 and [::1] on any port in development, else none",
		accepted: "comma-separated origins, scheme://host or scheme://host:port; * is refused",
		meaning:  "Other origins whose pages may call the API from a browser. Pages of the server itself always may.",
		example:  "https://app.example.com,https://admin.example.com",
		parse:    func(c *config, v string) error { return parseOrigins(&c.AllowedOrigins, v) },
		show: func(c config) any {
			if c.AllowLocalOrigins {
				return "localhost"
			}
			return strings.Join(c.AllowedOrigins, ",")
		},
	},
	{
		name: "PARLEY_HOSTS", fallback: "none beside localhost",
		accepted: "comma-separated names and addresses without ports, and *.name for all names below one; * is refused; " +
			"in development only",
		meaning: "Other names under which a development server may be asked, directly or through a developer's proxy, " +
			"and whose pages may call it.",
		example: "*.test,chat.local,192.168.1.20",
		parse:   parseHosts,
		show:    func(c config) any { return c.Hosts.String() },
	},
	{
		name: "PARLEY_TRUSTED_PROXIES", fallback: "none",
		accepted: "comma-separated networks in CIDR notation",
		meaning:  "Reverse proxies whose X-Forwarded-For is trusted when limits are counted by address.",
		example:  "10.0.0.0/8,fd00::/8",
		parse:    func(c *config, v string) error { return parsePrefixes(&c.TrustedProxies, v) },
		show: func(c config) any {
			networks := make([]string, len(c.TrustedProxies))
			for i, n := range c.TrustedProxies {
				networks[i] = n.String()
			}
			return strings.Join(networks, ",")
		},
	},
	{
		name: "PARLEY_DOCUMENTS", fallback: "none",
		accepted: "the path of a JSON file: an object from id to document, or Apollo's manifest",
		meaning:  "Known operations (trusted documents), which clients may send by id.",
		example:  "/etc/parley/documents.json",
		parse:    func(c *config, v string) error { c.Documents = v; return nil },
		show:     func(c config) any { return c.Documents },
	},
	{
		name: "PARLEY_DOCUMENTS_ONLY", value: "off",
		accepted: "`on` or `off`",
		meaning:  "Refuse every operation that is not in PARLEY_DOCUMENTS. Those of the chat page are known too.",
		example:  "on",
		parse:    func(c *config, v string) error { return parseOneOf(&c.DocumentsOnly, v, on, off) },
		show:     func(c config) any { return c.DocumentsOnly },
	},
}
