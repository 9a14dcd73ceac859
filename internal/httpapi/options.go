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
	one := func(name string) (value string) {
		switch v := h[name]; len(v) {
		case 0:
		case 1:
			value = v[0]
		default:
			if err == nil {
				err = messages.Errorf(messages.InvalidRequest, "The request has more than one %s header.", name)
			}
		}
		return value
	}
	o = gateway.Options{
		GuardrailID: one(bedrockapi.HeaderGuardrailID), GuardrailVersion: one(bedrockapi.HeaderGuardrailVersion),
		Trace: one(bedrockapi.HeaderTrace), Latency: one(bedrockapi.HeaderLatency), ServiceTier: one(bedrockapi.HeaderServiceTier),
	}
	if metadata := one(bedrockapi.HeaderMetadata); err == nil && h[bedrockapi.HeaderMetadata] != nil {
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
