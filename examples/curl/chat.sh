#!/usr/bin/env bash
# Sends a message to Parley and prints the reply while it grows. Needs curl and jq.
set -euo pipefail

url=${PARLEY_URL:-http://127.0.0.1:8080}/graphql
question=${1:-I had a dream about the sea}
tries=10

# fetch is curl with what all calls share. Secrets go through files: arguments
# can be read by everybody on the machine.
fetch() { # ACCEPT, the body on standard input
	curl --silent --no-buffer --keepalive-time 20 --data-binary @- "$url" \
		--header 'Content-Type: application/json' --header "Accept: $1" \
		--header @<([ -z "$access" ] || printf 'Authorization: Bearer %s' "$access")
}

body() { # QUERY, the variables on standard input
	jq --compact-output --arg query "$1" '{query: $query, variables: .}'
}

# operation runs a query or mutation and leaves its data in $data. It tries again
# when the connection is lost, and with new tokens when the access token has ended.
operation() { # QUERY VARIABLES
	local failures=0 answer code
	while :; do
		if answer=$(body "$1" <<<"$2" | fetch application/json) &&
			code=$(jq -r '.errors[0].extensions.code // empty' <<<"$answer"); then
			case $code in
			'') data=$(jq --compact-output .data <<<"$answer") && return ;;
			UNAUTHENTICATED) [ -n "$access" ] || refused "$answer"; refresh; continue ;;
			UNAVAILABLE | OVERLOADED) ;;
			*) refused "$answer" ;;
			esac
		fi
		((++failures < tries)) || { echo "no answer from $url" >&2; exit 1; }
		back_off $failures
	done
}

refused() { # ANSWER
	jq -r '.errors[0] | "\(.extensions.code): \(.message)"' <<<"$1" >&2
	exit 1
}

back_off() { # FAILURES
	sleep $(($1 < 5 ? $1 : 5)).$((RANDOM % 10))
}

access=''
refresh_token=''

tokens() { # FIELD of $data
	access=$(jq -r ".$1.accessToken" <<<"$data")
	refresh_token=$(jq -r ".$1.refreshToken" <<<"$data")
}

# refresh trades the refresh token, once, for the next pair. Refused means that
# the session is over: sign in again.
refresh() {
	access=''
	operation 'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken } }' \
		"$(refresh_token=$refresh_token jq -n '{input: {refreshToken: env.refresh_token}}')"
	tokens refreshSession
}

if [ -n "${PARLEY_EMAIL:-}" ] && [ -n "${PARLEY_PASSWORD:-}" ]; then
	operation 'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }' \
		"$(jq -n '{input: {email: env.PARLEY_EMAIL, password: env.PARLEY_PASSWORD}}')"
	tokens signIn
else
	random=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	operation 'mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken refreshToken } }' \
		"$(random=$random jq -n '{input: {email: "\(env.random)@example.com", password: "p\(env.random)", name: "Ada"}}')"
	tokens signUp
fi

# One key for all tries: however often the send arrives, there is one reply.
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
operation 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { reply { id } } }' \
	"$(jq -n --arg content "$question" --arg clientKey "$key" '{input: {$content, $clientKey}}')"
id=$(jq -r .sendMessage.reply.id <<<"$data")

# Each event is asked for the whole message as it is then: more bytes than deltas,
# but nothing to put together. See ../fetch for deltas.
events='subscription ($id: ID!) { messageEvents(messageId: $id) { __typename message { status content error { message } } } }'
shown=''
failures=0
while :; do
	code=''
	while IFS= read -r line; do
		[[ $line == 'data: {'* ]] || continue
		eval "$(jq -r '@sh "code=\(.errors[0].extensions.code // "") type=\(.data.messageEvents.__typename)
			status=\(.data.messageEvents.message.status) content=\(.data.messageEvents.message.content // "")
			error=\(.data.messageEvents.message.error.message // "")"' <<<"${line#data: }")"
		[ -z "$code" ] || break
		failures=0
		if [[ $content != "$shown"* ]]; then
			echo # The server died, and the reply is written once more.
			shown=''
		fi
		printf '%s' "${content:${#shown}}"
		shown=$content
		[ "$type" = MessageFinished ] || continue
		echo
		[ "$status" = COMPLETED ] || { echo "$status: $error" >&2; exit 1; }
		exit 0
	done < <(jq -n --arg id "$id" '{$id}' | body "$events" | fetch text/event-stream)

	case $code in
	UNAUTHENTICATED) refresh ;;
	'') # Cut off. The reply goes on without us: subscribe again, which begins with all of it.
		((++failures < tries)) || { echo "no answer from $url" >&2; exit 1; }
		back_off $failures
		;;
	*) echo "$code" >&2; exit 1 ;;
	esac
done
