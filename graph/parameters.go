package graph

import (
	"parley/graph/model"
	"parley/internal/reply"
)

func fromInput(in *model.ParametersInput) *reply.Parameters {
	if in == nil {
		return nil
	}
	p := &reply.Parameters{
		Temperature:      in.Temperature.Value(),
		TopP:             in.TopP.Value(),
		MaxTokens:        in.MaxTokens.Value(),
		Stop:             in.Stop.Value(),
		Seed:             in.Seed.Value(),
		PresencePenalty:  in.PresencePenalty.Value(),
		FrequencyPenalty: in.FrequencyPenalty.Value(),
	}
	if e := in.ReasoningEffort.Value(); e != nil {
		p.ReasoningEffort = reply.ReasoningEffort(*e)
	}
	if v := in.Verbosity.Value(); v != nil {
		p.Verbosity = reply.Verbosity(*v)
	}
	if f := in.ResponseFormat.Value(); f != nil {
		p.ResponseFormat = &reply.ResponseFormat{
			Type:   reply.FormatType(f.Type),
			Name:   deref(f.Name.Value()),
			Schema: deref(f.Schema.Value()),
			Strict: deref(f.Strict.Value()),
		}
	}
	return p
}

func toModel(p reply.Parameters) *model.Parameters {
	out := &model.Parameters{
		Temperature:      p.Temperature,
		TopP:             p.TopP,
		MaxTokens:        p.MaxTokens,
		Stop:             p.Stop,
		Seed:             p.Seed,
		PresencePenalty:  p.PresencePenalty,
		FrequencyPenalty: p.FrequencyPenalty,
	}
	if p.ReasoningEffort != "" {
		out.ReasoningEffort = (*model.ReasoningEffort)(&p.ReasoningEffort)
	}
	if p.Verbosity != "" {
		out.Verbosity = (*model.Verbosity)(&p.Verbosity)
	}
	if f := p.ResponseFormat; f != nil {
		out.ResponseFormat = &model.ResponseFormat{Type: model.ResponseFormatType(f.Type), Strict: f.Strict}
		if f.Type == reply.FormatJSONSchema {
			out.ResponseFormat.Name, out.ResponseFormat.Schema = &f.Name, &f.Schema
		}
	}
	return out
}

// parameters reads what is stored; nil when nothing is set.
func parameters(text string) (*model.Parameters, error) {
	if text == "" {
		return nil, nil
	}
	p, err := reply.DecodeParameters(text)
	return toModel(p), err
}
