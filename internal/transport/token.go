package transport

import "strings"

// tokenOf finds the token where clients put it: at the top of the payload, as
// GraphiQL does with its headers, or in headers; with or without the scheme.
func tokenOf(payload map[string]any) string {
	for _, key := range []string{"Authorization", "authorization", "token", "authToken"} {
		if text, ok := payload[key].(string); ok {
			return bearer(text)
		}
	}
	if headers, ok := payload["headers"].(map[string]any); ok {
		return tokenOf(headers)
	}
	return ""
}

// bearer returns the token of an Authorization header, or "": what follows the scheme, or,
// without any scheme, all of it. What has another scheme is for somebody else.
func bearer(header string) string {
	scheme, token, more := strings.Cut(strings.TrimSpace(header), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return strings.TrimSpace(token)
	case !more:
		return scheme
	}
	return ""
}
