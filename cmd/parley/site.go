package main

import (
	"parley/graph/model"
	"parley/internal/version"
	"parley/web"
)

// builtInSuggestions are for any model. The built-in ones understand them too.
var builtInSuggestions = []string{
	"Explain what a database index does, as to a friend",
	"Help me to plan the week ahead of me",
	"Write a short letter that says no kindly",
	"Ask me questions until you know what I want",
}

// newSite is what a page has to know before anybody signs in. There are no issuers: tokens of others are accepted, and
// no sign-in with them begins here.
func newSite(cfg config) *model.Site {
	site := &model.Site{
		Name: cfg.SiteName, SignUp: cfg.SignUpOpen, Issuers: []*model.SiteIssuer{},
		Suggestions: cfg.Suggestions, Features: []string{}, Version: version.Get().Number,
	}
	if len(site.Suggestions) == 0 {
		site.Suggestions = builtInSuggestions
	}
	if cfg.Mode == development {
		site.Features = append(site.Features, "graphiql")
	}
	if cfg.TitleModel != "" {
		site.Features = append(site.Features, "titles")
	}
	return site
}

// pageDocuments is the manifest of the chat page, nothing where it has none.
func pageDocuments(cfg config) ([]byte, error) {
	if cfg.Page != on {
		return nil, nil // Its operations are nobody's then.
	}
	return web.NewChat(cfg.SiteName).Documents()
}
