package upstream

import (
	"hash/maphash"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/reply"
)

// source is a source as a server names it. The place is in code points of the content, -1
// where none is told.
type source struct {
	url, title string
	start, end int
}

// The bounds of what a reply keeps of its sources.
const (
	maxCitations  = 100
	maxURLBytes   = 2 << 10
	maxTitleBytes = 300
	// maxFrameSources bounds what is read of one frame.
	maxFrameSources = 500
	// maxSeenLists bounds the memory for lists that servers repeat in each frame.
	maxSeenLists = 64
)

// source reads a member that may name sources: annotations of OpenAI and OpenRouter, citations
// and search_results of Perplexity, citations of xAI, the grounding metadata of Gemini, and what
// other servers with a search call it.
func (f *frame) source(p *parser, key []byte) bool {
	switch string(key) {
	case "annotations", "citations", "search_results", "search_info", "web_search", "references",
		"grounding_metadata", "groundingMetadata", "vertex_ai_grounding_metadata":
	default:
		return p.skip(0)
	}
	start := p.at()
	if !p.skip(0) {
		return false
	}
	if p.pos-start <= len("[]") || f.repeated(p.data[start:p.pos]) {
		return true
	}
	end := p.pos
	p.pos = start
	f.sources = f.sources[:f.cited]
	ok := f.readSources(p, 0)
	f.cited = len(f.sources)
	return ok && p.pos == end
}

// repeated reports whether a list has been read before: some servers send it in each frame.
func (f *frame) repeated(list []byte) bool {
	if len(f.seen) == 0 || len(f.seen) >= maxSeenLists {
		f.seen, f.seed = make(map[uint64]struct{}), maphash.MakeSeed()
	}
	sum := maphash.Bytes(f.seed, list)
	if _, ok := f.seen[sum]; ok {
		return true
	}
	f.seen[sum] = struct{}{}
	return false
}

func (f *frame) readSources(p *parser, depth int) bool {
	if depth > maxNesting {
		return false
	}
	switch {
	case len(f.sources) >= maxFrameSources:
		return p.skip(0)
	case p.peek() == '[':
		return p.array(func() bool { return f.readSources(p, depth+1) })
	case p.peek() == '"':
		text, ok := p.text(nil)
		f.cite(source{url: string(text), start: -1, end: -1})
		return ok
	case p.peek() != '{':
		return p.skip(0)
	}
	s := source{start: -1, end: -1}
	ok := p.object(f, func(key []byte) bool {
		switch string(key) {
		case "url", "uri", "link":
			return readWords(p, &s.url)
		case "title", "name":
			return readWords(p, &s.title)
		case "start_index", "startIndex":
			return readPlace(p, &s.start)
		case "end_index", "endIndex":
			return readPlace(p, &s.end)
		case "url_citation", "web", "results", "search_results", "grounding_chunks", "groundingChunks":
			return f.readSources(p, depth+1)
		default:
			return p.skip(0)
		}
	})
	f.cite(s)
	return ok
}

func (f *frame) cite(s source) {
	if s.url != "" && len(s.url) <= maxURLBytes {
		f.sources = append(f.sources, s)
	}
}

func readWords(p *parser, words *string) bool {
	text, ok := p.text(nil)
	*words = string(text)
	return ok
}

func readPlace(p *parser, place *int) bool {
	if c := p.peek(); c < '0' || c > '9' {
		return p.skip(0)
	}
	*place = p.number()
	return *place >= 0
}

// citations are the sources of a reply, each once: with its place, or without one, when no
// place was told.
type citations []source

func (c *citations) add(s source) {
	var ok bool
	if s.url, ok = cleanURL(s.url); !ok {
		return
	}
	s.title = cleanTitle(s.title)
	if s.start < 0 || s.end <= s.start { // OpenRouter says from 0 to 0 where it knows no place.
		s.start, s.end = -1, -1
	}
	for i := range *c {
		known := &(*c)[i]
		if known.url != s.url {
			continue
		}
		if known.title == "" {
			known.title = s.title
		}
		switch {
		case s.start < 0, known.start == s.start && known.end == s.end:
			return
		case known.start < 0:
			known.start, known.end = s.start, s.end
			return
		}
	}
	if len(*c) < maxCitations {
		*c = append(*c, s)
	}
}

// cleanURL returns an address as a page may link to it, and false for one that it may not.
func cleanURL(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || r == ' ' }) {
		return "", false
	}
	u, err := url.Parse(s)
	return s, err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// cleanTitle returns the words of a title on one line, without what turns the text around it.
func cleanTitle(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.TrimSpace(s)
	if len(s) > maxTitleBytes {
		s = s[:maxTitleBytes]
		s = s[:len(s)-unfinished([]byte(s))]
	}
	return s
}

// list returns the sources with their places in UTF-16 units of the text that r has measured,
// skip code points of which the reply does not hold.
func (c citations) list(r *ruler, skip int) (list []reply.Citation) {
	for _, s := range c {
		cited := reply.Citation{URL: s.url, Title: s.title}
		start, begins := r.units(s.start - skip)
		if end, ends := r.units(s.end - skip); begins && ends {
			cited.Start, cited.End = &start, &end
		}
		list = append(list, cited)
	}
	return list
}

// ruler measures a text: where its code points are in UTF-16.
type ruler struct {
	points int
	wide   []int32 // the code points of two units
}

func (r *ruler) add(text string) {
	for at := 0; at < len(text); {
		if text[at] < utf8.RuneSelf {
			at++
			r.points++
			continue
		}
		c, size := utf8.DecodeRuneInString(text[at:])
		if c > 0xffff {
			r.wide = append(r.wide, int32(r.points))
		}
		at += size
		r.points++
	}
}

// units returns where a code point begins, and false when the text has none there.
func (r *ruler) units(point int) (int, bool) {
	if point < 0 || point > r.points {
		return 0, false
	}
	before, _ := slices.BinarySearch(r.wide, int32(point))
	return point + before, true
}
