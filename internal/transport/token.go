package transport

import "strings"

// tokenOf finds the token where clients put it: at the top of the payload, as
// GraphiQL does with its headers, or in headers; with or without the scheme.
func tokenOf(payload map[string]any) string {
	for _, key := range []string{"Authorization", "authorization", "token", "authToken"} {
		if text, ok := payload[key].(string); ok {
			if strings.Contains(text, " ") {
				return bearer(text)
			}
			return text
		}
	}
	if headers, ok := payload["headers"].(map[string]any); ok {
		return tokenOf(headers)
	}
	return ""
}

// bearer returns the token of an Authorization header, or "".
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
