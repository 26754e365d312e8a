package auth

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// strangeTokens are n times something that is dear to read, in what is no good token.
var strangeTokens = map[string]func(n int) string{
	"dots":   func(n int) string { return strings.Repeat(".", n) },
	"no JWT": func(n int) string { return strings.Repeat("a", n) },
	"claims": func(n int) string {
		var b strings.Builder
		for i := range n / 10 {
			fmt.Fprintf(&b, `"a%d":1,`, i)
		}
		return unsigned(`{"alg":"HS256"}`, `{`+b.String()+`"iss":"parley"}`)
	},
	"headers": func(n int) string {
		var b strings.Builder
		for i := range n / 10 {
			fmt.Fprintf(&b, `"a%d":1,`, i)
		}
		return unsigned(`{`+b.String()+`"alg":"HS256","typ":"at+jwt"}`, `{"iss":"parley"}`)
	},
	"a deep claim": func(n int) string {
		return unsigned(`{"alg":"HS256"}`,
			`{"a":`+strings.Repeat("[", n/4)+strings.Repeat("]", n/4)+`,"iss":"parley"}`)
	},
	"audiences": func(n int) string {
		return unsigned(`{"alg":"HS256","typ":"at+jwt"}`,
			`{"aud":[`+strings.Repeat(`"a",`, n/8)+`"a"],"iss":"parley","exp":9999999999}`)
	},
}

func unsigned(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + ".AAAA"
}

// reads reads a token as Authenticate does, as far as nobody has to be asked.
func reads(tokens *accessTokens, raw string) {
	if issuer, err := claimedIssuer(raw); err == nil && issuer == "parley" {
		_, _ = tokens.verify(raw) // It is no good.
	}
}

// A token that is no good costs what it is long, at most 8 KiB of it.
func TestBadTokensCostLittle(t *testing.T) {
	tokens := newAccessTokens(GenerateKeyring(), "parley", "parley", time.Now)
	bytes := func(raw string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		reads(tokens, raw)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for name, form := range strangeTokens {
		bytes(form(1)) // What is made once is made.
		for n := 1000; n <= 64000; n *= 2 {
			half, whole := bytes(form(n/2)), bytes(form(n))
			if whole > 5*half/2+16<<10 || whole > 512<<10 {
				t.Errorf("%s: %d bytes for %d and %d for half of that, want twice as many, and 512 KiB at the most",
					name, whole, n, half)
			}
		}
	}
}

func BenchmarkBadTokens(b *testing.B) {
	tokens := newAccessTokens(GenerateKeyring(), "parley", "parley", time.Now)
	for name, form := range strangeTokens {
		for _, n := range []int{4000, 8000} { // The longest that is read lies between.
			raw := form(n)
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					reads(tokens, raw)
				}
			})
		}
	}
}
