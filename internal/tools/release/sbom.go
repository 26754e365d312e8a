package main

import (
	"encoding/json"
	"strings"
	"time"
)

// The parts of CycloneDX 1.5 that are used here: https://cyclonedx.org/docs/1.5/json/
type (
	bom struct {
		Format      string       `json:"bomFormat"`
		SpecVersion string       `json:"specVersion"`
		Version     int          `json:"version"`
		Metadata    metadata     `json:"metadata"`
		Components  []component  `json:"components"`
		Depends     []dependency `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Licenses   []license  `json:"licenses"`
		PURL       string     `json:"purl,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	license struct {
		Expression string `json:"expression"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// sbom lists the parts of the binaries in the form of CycloneDX. A part that is not in all of
// them says in which.
func (p plan) sbom(parts []part) ([]byte, error) {
	whole := component{
		Type: "application", Ref: "parley", Name: "parley", Version: p.version,
		Licenses:   []license{{"Apache-2.0"}},
		Properties: []property{{"parley:commit", p.commit}},
	}
	b := bom{Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata: metadata{p.time.Format(time.RFC3339), whole}}
	on := dependency{Ref: whole.Ref}
	for _, part := range parts {
		purl := "pkg:" + part.ecosystem + "/" + strings.Replace(part.name, "@", "%40", 1) + "@" + part.version
		c := component{
			Type: "library", Ref: purl, Name: part.name, Version: part.version, PURL: purl,
			Licenses: []license{{part.licence}},
		}
		if n := len(part.targets); n > 0 && n < len(p.targets) {
			c.Properties = []property{{"parley:targets", strings.Join(part.targets, " ")}}
		}
		b.Components = append(b.Components, c)
		on.On = append(on.On, purl)
	}
	b.Depends = []dependency{on}
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
