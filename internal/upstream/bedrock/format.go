package bedrock

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// Structured outputs began as a beta with a field of its own. AWS knows neither;
// where it has the feature the same value is a member of output_config.
const (
	betaFormat  = "output_format"
	outputs     = "output_config"
	formatThere = outputs + ".format"
)

// formatMoved gives the body with its format where the model takes it through that
// API; ok is false where it takes none, or has been given another one.
func formatMoved(m *catalog.Model, api catalog.API, body *gateway.Body) (moved *gateway.Body, ok bool) {
	if body == nil || body.Dialect() != gateway.Messages || m.Feature("structured_outputs", api).Level != catalog.Yes {
		return nil, false
	}
	format, ok := body.Get(betaFormat)
	if !ok || len(format) == 0 || format[0] != '{' {
		return nil, false
	}
	config, ok := body.Get(outputs)
	if !ok {
		config = []byte("{}")
	}
	members, err := jsonspan.Scan(nil, config, nil)
	if err != nil {
		return nil, false // AWS says what is wrong with it
	}
	if _, ok := members.Get("format"); ok {
		return nil, false
	}
	config = jsonspan.Splice(nil, config, members, jsonspan.Edit{Key: "format", Value: format})
	moved, err = body.With(jsonspan.Edit{Key: outputs, Value: config}, jsonspan.Edit{Key: betaFormat})
	return moved, err == nil
}
