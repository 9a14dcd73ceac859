package gateway

import (
	"regexp"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// The constraints of modelId in bedrock-runtime 2023-09-30: InvokeModelIdentifier,
// and FoundationModelVersionIdentifier of CountTokens.
const (
	modelIDPattern = `(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:(([0-9]{12}:custom-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}/[a-z0-9]{12})|(:foundation-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.:]?[a-z0-9-]{1,63}))|([0-9]{12}:imported-model/[a-z0-9]{12})|([0-9]{12}:provisioned-model/[a-z0-9]{12})|([0-9]{12}:custom-model-deployment/[a-z0-9]{12})|([0-9]{12}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+)))|([a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.:]?[a-z0-9-]{1,63}))|(([0-9a-zA-Z][_-]?)+)|([a-zA-Z0-9-:.]+)$|(^(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:prompt/[0-9a-zA-Z]{10}(?::[0-9]{1,5})?))$|(^arn:aws:sagemaker:[a-z0-9-]+:[0-9]{12}:endpoint/[a-zA-Z0-9-]+$)|(^arn:aws(-[^:]+)?:bedrock:([0-9a-z-]{1,20}):([0-9]{12}):(default-)?prompt-router/[a-zA-Z0-9-:.]+$)`
	countIDPattern = `[a-zA-Z_\.\-/0-9:]+`
	maxModelID     = 2048
	maxCountID     = 256
)

var (
	modelIDs = regexp.MustCompile(`\A(?:` + modelIDPattern + `)\z`)
	countIDs = regexp.MustCompile(`\A(?:` + countIDPattern + `)\z`)
)

// checkModelID holds the label of a path to the service model, before anything
// looks it up.
func checkModelID(op *bedrockapi.Operation, id string) error {
	form, pattern, most := modelIDs, modelIDPattern, maxModelID
	if op == bedrockapi.CountTokens {
		form, pattern, most = countIDs, countIDPattern, maxCountID
	}
	const detected = "1 validation error detected: Value '%s' at 'modelId' failed to satisfy constraint: Member must "
	switch {
	case len(id) > most:
		return messages.Errorf(messages.InvalidRequest, detected+"have length less than or equal to %d", id[:min(len(id), maxModelID)], most)
	case !plainID(id) && !form.MatchString(id):
		return messages.Errorf(messages.InvalidRequest, detected+"satisfy regular expression pattern: %s", id, pattern)
	default:
		return nil
	}
}

// plainID says that an id has nothing but [a-zA-Z0-9-:.], which both patterns
// take. To run them costs more than the call's signature.
func plainID(id string) bool {
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == ':', c == '.':
		default:
			return false
		}
	}
	return id != ""
}
