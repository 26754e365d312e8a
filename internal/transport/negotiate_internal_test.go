package transport

import "testing"

func TestNegotiation(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]struct{ result, stream format }{
		"":                                  {formatJSON, formatNone},
		"*/*":                               {formatJSON, formatNone},
		"application/*":                     {formatJSON, formatNone},
		"application/json":                  {formatJSON, formatNone},
		"application/json; charset=utf-8":   {formatJSON, formatNone},
		"application/graphql-response+json": {formatResponse, formatNone},
		"application/graphql-response+json, application/json;q=0.9": {formatResponse, formatNone},
		"application/json;q=0.9, application/graphql-response+json": {formatResponse, formatNone},
		"application/graphql-response+json;q=0.5, application/json": {formatJSON, formatNone},
		"text/event-stream":                                    {formatEvents, formatEvents},
		"text/event-stream, */*;q=0.1":                         {formatJSON, formatEvents},
		"text/event-stream;q=0, application/json":              {formatJSON, formatNone},
		"text/html, image/png":                                 {formatNone, formatNone},
		"multipart/mixed":                                      {formatNone, formatNone},
		"multipart/mixed;deferSpec=20220824, application/json": {formatJSON, formatNone},
		// urql, for queries and for subscriptions.
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed": {formatResponse, formatEvents},
		"text/event-stream, multipart/mixed": {formatEvents, formatEvents},
		// Apollo Client.
		"multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9": {formatResponse, formatMultipart},
		// Apollo iOS and Kotlin; their documentation quotes the value, too.
		"multipart/mixed;subscriptionSpec=1.0,application/graphql-response+json,application/json": {formatResponse,
			formatMultipart},
		`multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/json`: {formatJSON,
			formatMultipart},
		`multipart/mixed;boundary="a,b";subscriptionSpec=1.0`: {formatMultipart,
			formatMultipart},
		"multipart/mixed;subscriptionSpec=1.0;q=0.5, text/event-stream": {formatEvents,
			formatEvents},
		"application/json;q=nonsense": {formatNone,
			formatNone},
		";;;, application/json": {formatJSON,
			formatNone},
	} {
		list := parseAccept([]string{accept})
		if got := forResult(list); got != want.result {
			t.Errorf("Accept %q: a result comes as %d, want %d", accept, got, want.result)
		}
		if got := forStream(list); got != want.stream {
			t.Errorf("Accept %q: a stream comes as %d, want %d", accept, got, want.stream)
		}
	}
}
