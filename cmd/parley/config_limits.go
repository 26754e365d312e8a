package main

import (
	"math"
	"time"
)

// limitVariables are the last group of the table: what somebody may have, and for how long.
var limitVariables = []variable{
	{
		group: "Limits",
		name:  "PARLEY_WAIT_LIMIT", value: "50s",
		accepted: "a duration from 1s to 10m",
		meaning:  "How long `sendMessage` with `wait: true` waits for the reply. Keep it below the time-outs of proxies.",
		example:  "25s",
		parse: func(c *config,
			v string) error {
			return parseDuration(&c.WaitLimit, v, time.Second, 10*time.Minute)
		},
		show: func(c config) any { return c.WaitLimit },
	},
	{
		name: "PARLEY_REPLY_LIMIT", value: "10m",
		accepted: "a duration from 1s to 1h",
		meaning:  "The longest time one reply may take, retries included.",
		example:  "5m",
		parse:    func(c *config, v string) error { return parseDuration(&c.ReplyLimit, v, time.Second, time.Hour) },
		show:     func(c config) any { return c.ReplyLimit },
	},
	{
		name: "PARLEY_MAX_RUNNING", value: "3",
		accepted: "a whole number from 1 to 1000",
		meaning:  "How many replies of one user may run at once.",
		example:  "5",
		parse:    func(c *config, v string) error { return parseInt(&c.MaxRunning, v, 1, 1000) },
		show:     func(c config) any { return c.MaxRunning },
	},
	{
		name: "PARLEY_MAX_REPLIES", fallback: "1000 for each processor core",
		accepted: "a whole number from 1 to 1000000",
		meaning:  "How many replies may run in this process before new messages are refused as OVERLOADED.",
		example:  "500",
		parse:    func(c *config, v string) error { return parseInt(&c.MaxReplies, v, 1, 1_000_000) },
		show:     func(c config) any { return c.MaxReplies },
	},
	{
		name: "PARLEY_QUEUE_AGE", value: "500ms",
		accepted: "a duration from 50ms to 1m",
		meaning: "How long new messages may wait to be written, or running replies for the process, before more are " +
			"refused as OVERLOADED.",
		example: "2s",
		parse: func(c *config, v string) error {
			return parseDuration(&c.QueueAge, v, 50*time.Millisecond, time.Minute)
		},
		show: func(c config) any { return c.QueueAge },
	},
	{
		name: "PARLEY_MAX_MESSAGE_BYTES", value: "32768",
		accepted: "a whole number from 1024 to 4194304",
		meaning: "How long one message of a user may be, in bytes of UTF-8. The body of a request may have six times that, " +
			"and 1 MiB at the least.",
		example: "1048576",
		parse:   func(c *config, v string) error { return parseInt(&c.MaxMessage, v, 1<<10, 4<<20) },
		show:    func(c config) any { return c.MaxMessage },
	},
	{
		name: "PARLEY_MAX_SYSTEM_PROMPT_BYTES", value: "32768",
		accepted: "a whole number from 1024 to 4194304",
		meaning:  "How long the system prompt of a conversation may be, likewise.",
		example:  "131072",
		parse:    func(c *config, v string) error { return parseInt(&c.MaxSystem, v, 1<<10, 4<<20) },
		show:     func(c config) any { return c.MaxSystem },
	},
	{
		name: "PARLEY_MAX_PROMPT_BYTES", value: "4194304",
		accepted: "a whole number from 262144 to 67108864",
		meaning: "How long all that a model is sent for one reply may be, in bytes of UTF-8; a message that would make it " +
			"longer is refused as CONTEXT_TOO_LONG. A running reply holds that in memory.",
		example: "1048576",
		parse:   func(c *config, v string) error { return parseInt(&c.MaxPrompt, v, 256<<10, 64<<20) },
		show:    func(c config) any { return c.MaxPrompt },
	},
	{
		name: "PARLEY_SENDS_PER_MINUTE", value: "20",
		accepted: "a whole number from 0 to 100000; 0 means no limit",
		meaning:  "How many messages one user may send in a minute.",
		example:  "60",
		parse:    func(c *config, v string) error { return parseInt(&c.SendsPerMinute, v, 0, 100_000) },
		show:     func(c config) any { return c.SendsPerMinute },
	},
	{
		name: "PARLEY_TOKENS_PER_DAY", value: "0",
		accepted: "a whole number, 0 or more; 0 means no limit",
		meaning:  "How many model tokens one user may spend in a day (UTC).",
		example:  "200000",
		parse:    func(c *config, v string) error { return parseInt(&c.TokensPerDay, v, 0, math.MaxInt64) },
		show:     func(c config) any { return c.TokensPerDay },
	},
	{
		name: "PARLEY_CONVERSATIONS_PER_DAY", value: "1000",
		accepted: "a whole number, 0 or more; 0 means no limit",
		meaning:  "How many conversations one user may begin in a day (UTC). Those that are deleted do not count.",
		example:  "100",
		parse:    func(c *config, v string) error { return parseInt(&c.ConversationsPerDay, v, 0, math.MaxInt64) },
		show:     func(c config) any { return c.ConversationsPerDay },
	},
	{
		name: "PARLEY_BYTES_PER_USER", value: "1073741824",
		accepted: "a whole number, 0 or more; 0 means no limit",
		meaning:  "About how many bytes of text one user may have stored. It is measured every few minutes.",
		example:  "104857600",
		parse:    func(c *config, v string) error { return parseInt(&c.BytesPerUser, v, 0, math.MaxInt64) },
		show:     func(c config) any { return c.BytesPerUser },
	},
	{
		name: "PARLEY_ANSWER_BYTES", value: "8388608",
		accepted: "a whole number from 2097152 to 1073741824",
		meaning:  "How many bytes one answer, or one event of a subscription, may have.",
		example:  "16777216",
		parse:    func(c *config, v string) error { return parseInt(&c.AnswerBytes, v, 2<<20, 1<<30) },
		show:     func(c config) any { return c.AnswerBytes },
	},
	{
		name: "PARLEY_ANSWERS_PER_USER", value: "33554432",
		accepted: "a number of bytes, twice PARLEY_ANSWER_BYTES or more",
		meaning: "How much memory the large answers of one user may take in a replica, while they are made (twice " +
			"PARLEY_ANSWER_BYTES each) and until they are read.",
		example: "67108864",
		parse:   func(c *config, v string) error { return parseInt(&c.AnswersPerUser, v, 4<<20, 1<<40) },
		show:    func(c config) any { return c.AnswersPerUser },
	},
	{
		name: "PARLEY_ANSWERS", value: "134217728",
		accepted: "a number of bytes, PARLEY_ANSWERS_PER_USER or more",
		meaning:  "How much memory the large answers of all users may take in a replica.",
		example:  "536870912",
		parse:    func(c *config, v string) error { return parseInt(&c.Answers, v, 4<<20, 1<<40) },
		show:     func(c config) any { return c.Answers },
	},
	{
		name: "PARLEY_REQUESTS_PER_USER", value: "100",
		accepted: "a whole number from 1 to 1000000",
		meaning:  "How many queries and mutations one user may have under way at a replica.",
		example:  "300",
		parse:    func(c *config, v string) error { return parseInt(&c.RequestsPerUser, v, 1, 1_000_000) },
		show:     func(c config) any { return c.RequestsPerUser },
	},
	{
		name: "PARLEY_SUBSCRIPTIONS_PER_USER", value: "100",
		accepted: "a whole number from 1 to 1000000",
		meaning:  "How many subscriptions one user may have open at a replica, over all sockets and streams.",
		example:  "300",
		parse:    func(c *config, v string) error { return parseInt(&c.SubscriptionsPerUser, v, 1, 1_000_000) },
		show:     func(c config) any { return c.SubscriptionsPerUser },
	},
	{
		name: "PARLEY_SOCKETS_PER_USER", value: "20",
		accepted: "a whole number from 1 to 1000000",
		meaning:  "How many sockets and streams one user may have open at a replica.",
		example:  "50",
		parse:    func(c *config, v string) error { return parseInt(&c.SocketsPerUser, v, 1, 1_000_000) },
		show:     func(c config) any { return c.SocketsPerUser },
	},
	{
		name: "PARLEY_SOCKETS_PER_ADDRESS", value: "200",
		accepted: "a whole number from 1 to 1000000",
		meaning: "How many sockets and streams one address, or one /64 of IPv6, may have open at a replica while nobody has " +
			"signed in on them.",
		example: "1000",
		parse:   func(c *config, v string) error { return parseInt(&c.SocketsPerAddr, v, 1, 1_000_000) },
		show:    func(c config) any { return c.SocketsPerAddr },
	},
}
