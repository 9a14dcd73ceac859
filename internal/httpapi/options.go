package httpapi

import (
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Limits of RequestMetadataJson and RequestMetadata in bedrock-runtime 2023-09-30.
const (
	maxMetadata        = 8500
	maxMetadataEntries = 16
	maxMetadataText    = 256
)

// optionsOf reads the X-Amzn-Bedrock-* headers. That metadata is signed is for
// package identity to see.
func optionsOf(h http.Header) (o gateway.Options, err error) {
	var metadata string
	for _, header := range []struct {
		name string
		into *string
	}{
		{bedrockapi.HeaderGuardrailID, &o.GuardrailID}, {bedrockapi.HeaderGuardrailVersion, &o.GuardrailVersion},
		{bedrockapi.HeaderTrace, &o.Trace}, {bedrockapi.HeaderLatency, &o.Latency},
		{bedrockapi.HeaderServiceTier, &o.ServiceTier}, {bedrockapi.HeaderMetadata, &metadata},
	} {
		switch v := h[header.name]; len(v) {
		case 0:
		case 1:
			*header.into = v[0]
		default:
			return o, messages.Errorf(messages.InvalidRequest, "The request has more than one %s header.", header.name)
		}
	}
	if h[bedrockapi.HeaderMetadata] != nil {
		o.Metadata, err = metadataOf([]byte(metadata))
	}
	return o, err
}

func metadataOf(raw []byte) (map[string]string, error) {
	refuse := func(what string) error {
		return messages.Errorf(messages.InvalidRequest, "1 validation error detected: Value at 'requestMetadata' failed to satisfy constraint: %s", what)
	}
	if len(raw) > maxMetadata {
		return nil, refuse("Member must have length less than or equal to 8500")
	}
	members, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return nil, refuse("Member must be a JSON object of strings")
	}
	if len(members) == 0 || len(members) > maxMetadataEntries {
		return nil, refuse("Map must have 1 to 16 entries")
	}
	out := make(map[string]string, len(members))
	for _, m := range members {
		value, err := jsonspan.String(nil, m.Value(raw))
		if err != nil {
			return nil, refuse("Member must be a JSON object of strings")
		}
		if len(m.Key) == 0 || len(m.Key) > maxMetadataText || len(value) > maxMetadataText {
			return nil, refuse("Map keys must have 1 to 256 characters, values at most 256")
		}
		if !metadataText(m.Key) || !metadataText(value) {
			return nil, refuse(`Map keys and values must satisfy regular expression pattern: [a-zA-Z0-9\s:_@$#=/+,-.]{0,256}`)
		}
		out[string(m.Key)] = string(value)
	}
	return out, nil
}

// metadataText holds text to the class of RequestMetadataKeyString. Its ",-." is
// a range: comma, hyphen, full stop.
func metadataText(text []byte) bool {
	for _, c := range text {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(" \t\n\v\f\r:_@$#=/+,-.", c) >= 0) {
			return false
		}
	}
	return true
}
