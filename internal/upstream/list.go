package upstream

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// listedModel is a model as a server lists it.
type listedModel struct {
	ID string
	// window is how many tokens it is served with, 0 when that is not told.
	window int
	// mute is whether it cannot write: it makes vectors, pictures, speech or judgements.
	mute bool
}

// modelEntry has the members of an entry that servers are known to have. They disagree about
// all of them but the name.
type modelEntry struct {
	ID   text `json:"id"`
	Name text `json:"name"`

	// What it is: Together, LM Studio, Venice; GitHub, Cloudflare; Xinference, Novita; LiteLLM.
	Type      text `json:"type"`
	Task      text `json:"task"`
	ModelType text `json:"model_type"`
	Mode      text `json:"mode"`
	// OpenRouter, Hugging Face.
	Architecture struct {
		Output texts `json:"output_modalities"`
	} `json:"architecture"`
	Capabilities capabilities `json:"capabilities"`
	SupportsChat *flag        `json:"supports_chat"` // Fireworks
	Active       *flag        `json:"active"`        // Groq
	Endpoints    texts        `json:"endpoints"`     // Cohere

	// How much it can read as it is served: vLLM and SGLang; LM Studio; OpenRouter, Together,
	// Unsloth, Fireworks, Cohere; Groq; Mistral and LM Studio; llama.cpp. Not llama.cpp's
	// n_ctx_train, which is how it was trained.
	MaxModelLen         number `json:"max_model_len"`
	LoadedContextLength number `json:"loaded_context_length"`
	ContextLength       number `json:"context_length"`
	ContextWindow       number `json:"context_window"`
	ContextSize         number `json:"context_size"`
	MaxContextLength    number `json:"max_context_length"`
	TopProvider         struct {
		ContextLength number `json:"context_length"`
	} `json:"top_provider"`
	Meta struct {
		Context number `json:"n_ctx"`
	} `json:"meta"`
}

// parseModels reads a list of models: an array, or an object with one in data or models.
func parseModels(body []byte) ([]listedModel, error) {
	var top struct {
		Data   []json.RawMessage `json:"data"`
		Models []json.RawMessage `json:"models"`
	}
	if json.Unmarshal(body, &top) != nil {
		// Together sends the bare array.
		if err := json.Unmarshal(body, &top.Data); err != nil {
			return nil, errors.New("the list of models is not one")
		}
	}
	if len(top.Data) == 0 {
		top.Data = top.Models
	}
	list := make([]listedModel, 0, min(len(top.Data), maxModels))
	for _, entry := range top.Data {
		var e modelEntry
		_ = json.Unmarshal(entry, &e) // A member of another kind is passed over; without a name it is no model.
		id := string(e.ID)
		if id == "" {
			id = string(e.Name)
		}
		if id == "" || len(id) > maxNameBytes || id != cleanName([]byte(id)) || len(list) == maxModels {
			continue
		}
		list = append(list, listedModel{ID: id, window: e.window(), mute: e.mute() || isMuteName(id)})
	}
	return list, nil
}

// window is how many tokens a model is served with. Of several that serve it, the one that is
// asked first counts.
func (e *modelEntry) window() int {
	for _, n := range []number{e.MaxModelLen, e.LoadedContextLength, e.TopProvider.ContextLength, e.ContextLength,
		e.ContextWindow, e.ContextSize, e.MaxContextLength, e.Meta.Context} {
		if n >= minWindow && n <= maxWindow {
			return int(n)
		}
	}
	return 0
}

// muteKinds are pieces of what servers call models that cannot write.
var muteKinds = []string{"embed", "rerank", "moderation", "speech", "transcription", "text-to-", "tts", "stt",
	"feature-extraction", "similarity", "classif"}

// otherKinds are whole words for such models.
var otherKinds = []string{"image", "audio", "video", "asr", "images", "upscale", "inpaint"}

// mute reports whether a list says that a model cannot write.
func (e *modelEntry) mute() bool {
	for _, kind := range []text{e.Type, e.Task, e.ModelType, e.Mode, e.Capabilities.kind} {
		k := strings.ToLower(string(kind))
		if slices.Contains(otherKinds, k) ||
			slices.ContainsFunc(muteKinds, func(m string) bool { return strings.Contains(k, m) }) {
			return true
		}
	}
	for _, can := range []*flag{e.SupportsChat, e.Active, e.Capabilities.chat} {
		if can != nil && !bool(*can) {
			return true
		}
	}
	return cannot(e.Architecture.Output, "text") || cannot(e.Endpoints, "chat", "generate") ||
		cannot(e.Capabilities.list, "completion", "chat", "text", "tools", "vision", "thinking")
}

// cannot reports whether a list of abilities is there, and none of these in it.
func cannot(list texts, abilities ...string) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(has string) bool {
		return slices.ContainsFunc(abilities, func(a string) bool { return strings.Contains(strings.ToLower(has), a) })
	})
}

// muteNames begin the names of OpenAI's and Google's models that cannot write. Their lists say
// nothing but names, and nobody else calls a model that writes so.
var muteNames = []string{"text-embedding-", "whisper-", "tts-1", "dall-e-", "gpt-image-", "omni-moderation-",
	"text-moderation-", "gemini-embedding-", "imagen-", "veo-"}

func isMuteName(id string) bool {
	name := strings.TrimPrefix(id, "models/")
	return slices.ContainsFunc(muteNames, func(start string) bool { return strings.HasPrefix(name, start) })
}

// The following read a member that may be of another kind at another server, and then say
// nothing.

type text string

// UnmarshalJSON implements json.Unmarshaler. Cloudflare's task is an object with a name.
func (t *text) UnmarshalJSON(b []byte) error {
	var named struct{ Name string }
	if json.Unmarshal(b, (*string)(t)) != nil && json.Unmarshal(b, &named) == nil {
		*t = text(named.Name)
	}
	return nil
}

type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*[]string)(t)) != nil {
		*t = nil
	}
	return nil
}

type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	var f float64
	if json.Unmarshal(b, &f) == nil && f > 0 && f <= maxWindow {
		*n = number(f)
	}
	return nil
}

type flag bool

// UnmarshalJSON implements json.Unmarshaler. What is no flag forbids nothing.
func (f *flag) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*bool)(f)) != nil {
		*f = true
	}
	return nil
}

// capabilities are an object of flags (Mistral, Azure), one with a type (GitHub Copilot), or a
// list of words (llama.cpp, Ollama).
type capabilities struct {
	list texts
	kind text
	chat *flag
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *capabilities) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*[]string)(&c.list)) == nil {
		return nil
	}
	var object struct {
		Type    text  `json:"type"`
		Mistral *flag `json:"completion_chat"`
		Azure   *flag `json:"chat_completion"`
	}
	if json.Unmarshal(b, &object) == nil {
		c.kind, c.chat = object.Type, object.Mistral
		if c.chat == nil {
			c.chat = object.Azure
		}
	}
	return nil
}
