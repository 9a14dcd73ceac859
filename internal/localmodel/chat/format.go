package chat

import (
	"encoding/json"

	"github.com/outcrop-dev/outcrop/internal/localmodel/grammar"
)

type outputConfig struct {
	Format json.RawMessage `json:"format"`
}

type outputFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

// format reads the schema that the answer's text has to follow, from
// output_config or from its older name, and gives the words that tell the model.
func (w *wire) format(r *Request) (told string, err error) {
	where, raw := "output_format", w.OutputFormat
	if !isNull(w.OutputConfig) {
		var c outputConfig
		if err := object(w.OutputConfig, "output_config", configFields, &c); err != nil {
			return "", err
		}
		if !isNull(c.Format) {
			if !isNull(raw) {
				return "", invalid("output_format: may not be specified together with output_config.format")
			}
			where, raw = "output_config.format", c.Format
		}
	}
	if isNull(raw) {
		return "", nil
	}
	var f outputFormat
	if err := object(raw, where, formatFields, &f); err != nil {
		return "", err
	}
	switch {
	case f.Type != "json_schema":
		return "", invalid("%s.type: Input should be 'json_schema'", where)
	case isNull(f.Schema):
		return "", invalid("%s.schema: Field required", where)
	}
	b := grammar.NewBuilder()
	e, err := b.Schema(f.Schema)
	if err != nil {
		return "", invalid("%s.schema%s", where, because(err))
	}
	if r.Calls != nil {
		e = grammar.Alt{e, grammar.Text(CallMark)}
	}
	g, err := b.Grammar(e)
	if err != nil {
		return "", invalid("%s.schema%s", where, because(err))
	}
	r.Format = g.String()
	return "Answer in JSON that fits this schema: " + string(compact(f.Schema)), nil
}

var (
	configFields = map[string]treatment{"format": used, "effort": refused}
	formatFields = map[string]treatment{"type": used, "schema": used}
)

// object decodes an object whose members are known.
func object(raw json.RawMessage, where string, known map[string]treatment, v any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return invalid("%s: Input should be a valid dictionary", where)
	}
	if err := checkFields(members, known, where+"."); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return invalid("%s.%s", where, decodeFault(err))
	}
	return nil
}
