package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// documentIDKey is where the id of a known document travels to resolve. It cannot
// be sent by a client under this name.
const documentIDKey = "parley.documentId"

// Documents are operations that are known beforehand, each by one or more ids. It
// is read only after it has been made.
type Documents struct {
	byID  map[string]string
	texts map[string]bool
	// Only refuses every other operation.
	Only bool
}

// ParseDocuments reads manifests, each of which is either the object that relay-compiler
// and graphql-codegen write, from id to document, or Apollo's
// (format "apollo-persisted-query-manifest"). Every document is also known by the
// SHA-256 of its text, which is what Apollo Client sends by itself. An id that two
// manifests give to two documents is an error.
func ParseDocuments(manifests ...[]byte) (*Documents, error) {
	d := &Documents{byID: make(map[string]string), texts: make(map[string]bool)}
	for _, manifest := range manifests {
		if err := d.read(manifest); err != nil {
			return nil, err
		}
	}
	return d, d.check()
}

// read adds the documents of one manifest.
func (d *Documents) read(manifest []byte) error {
	var apollo struct {
		Format     string `json:"format"`
		Version    int    `json:"version"`
		Operations []struct {
			ID   string `json:"id"`
			Body string `json:"body"`
		} `json:"operations"`
	}
	if err := json.Unmarshal(manifest, &apollo); err == nil && apollo.Format != "" {
		if apollo.Format != "apollo-persisted-query-manifest" || apollo.Version != 1 {
			return fmt.Errorf("unknown manifest format %q, version %d", apollo.Format, apollo.Version)
		}
		plain := make(map[string]string, len(apollo.Operations))
		for _, op := range apollo.Operations {
			plain[op.ID] = op.Body
		}
		return d.addAll(plain)
	}
	var plain map[string]string
	if err := json.Unmarshal(manifest, &plain); err != nil {
		return errors.New("the manifest must be an object from id to document, or Apollo's manifest")
	}
	return d.addAll(plain)
}

// addAll adds what one manifest lists.
func (d *Documents) addAll(documents map[string]string) error {
	if len(documents) == 0 {
		return errors.New("the manifest holds no documents")
	}
	for id, body := range documents {
		if known, ok := d.byID[id]; ok && known != body {
			return fmt.Errorf("two documents have the id %.80q", id)
		}
		d.add(id, body)
	}
	return nil
}

func (d *Documents) add(id, body string) {
	sum := sha256.Sum256([]byte(body))
	d.byID[id] = body
	d.byID[hex.EncodeToString(sum[:])] = body
	d.texts[body] = true
}

func (d *Documents) check() error {
	if len(d.texts) == 0 {
		return errors.New("the manifest holds no documents")
	}
	for id, body := range d.byID {
		if id == "" || body == "" {
			return errors.New("the manifest holds an empty id or document")
		}
	}
	return nil
}

// resolve puts the text of a known document into a request that names one, whatever text
// stands beside it, as it does in all that Apollo's GraphQLWsLink sends. It refuses what is not
// known where only known ones may run. A nil Documents knows none, and says that there are
// none: on that, or on an id that is not known, Apollo Client sends the text.
func (d *Documents) resolve(p *graphql.RawParams) *gqlerror.Error {
	id, named := documentID(p)
	if named {
		text, known := "", false
		if d != nil {
			text, known = d.byID[id]
		}
		switch {
		case known:
			p.Query = text
			return nil
		case p.Query == "" && d == nil:
			return coded("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
		case p.Query == "":
			return coded("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
		}
	}
	if d != nil && d.Only && !d.texts[p.Query] {
		return coded("FORBIDDEN", "This server runs known operations only.")
	}
	return nil
}

// documentID finds the id of a known document: our own field of the request, or the
// extension that Apollo Client sends.
func documentID(p *graphql.RawParams) (string, bool) {
	if id, ok := p.Extensions[documentIDKey].(string); ok {
		delete(p.Extensions, documentIDKey)
		return id, true
	}
	persisted, ok := p.Extensions["persistedQuery"].(map[string]any)
	if !ok {
		return "", false
	}
	hash, ok := persisted["sha256Hash"].(string)
	return hash, ok
}
