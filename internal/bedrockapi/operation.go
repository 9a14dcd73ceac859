// Package bedrockapi is the HTTP contract of Amazon Bedrock as data: operations,
// headers, exceptions. Client, server and upstream connection read the same rows.
// It sends nothing and decides nothing.
package bedrockapi

import (
	"net/http"
	"strings"
)

// Surface is a family of operations that share an error shape and the services
// that a signature may name.
type Surface uint8

const (
	SurfaceNone Surface = iota
	SurfaceRuntime
	SurfaceControl
	SurfaceMessages
	SurfaceSTS
)

// Operation is one row of the contract. Path segments in braces are labels; the
// HTTP label is matched on the escaped path, since model ids carry ":" and ARNs "/".
type Operation struct {
	Name    string
	Surface Surface
	Method  string
	Path    string
	Stream  bool // answers in application/vnd.amazon.eventstream
	Success int  // the status of an answer without error

	segments []string
}

func op(s Surface, name, method, path string) *Operation {
	return &Operation{Name: name, Surface: s, Method: method, Path: path, Success: http.StatusOK, segments: strings.Split(strings.Trim(path, "/"), "/")}
}

// NewOperation makes an operation that is not AWS's, on a surface of AWS's form.
func NewOperation(s Surface, name, method, path string, success int) *Operation {
	return answers(success, op(s, name, method, path))
}

func stream(o *Operation) *Operation { o.Stream = true; return o }

func answers(status int, o *Operation) *Operation { o.Success = status; return o }

// The operations that exist here. AWS operations carry AWS's names; the three
// Messages paths appear with and without AWS's /anthropic prefix, because the
// runtime clients of Go and TypeScript send the bare ones.
var (
	InvokeModel       = op(SurfaceRuntime, "InvokeModel", "POST", "/model/{modelId}/invoke")
	InvokeModelStream = stream(op(SurfaceRuntime, "InvokeModelWithResponseStream", "POST", "/model/{modelId}/invoke-with-response-stream"))
	Converse          = op(SurfaceRuntime, "Converse", "POST", "/model/{modelId}/converse")
	ConverseStream    = stream(op(SurfaceRuntime, "ConverseStream", "POST", "/model/{modelId}/converse-stream"))
	CountTokens       = op(SurfaceRuntime, "CountTokens", "POST", "/model/{modelId}/count-tokens")

	ListFoundationModels  = op(SurfaceControl, "ListFoundationModels", "GET", "/foundation-models")
	GetFoundationModel    = op(SurfaceControl, "GetFoundationModel", "GET", "/foundation-models/{modelIdentifier}")
	ListInferenceProfiles = op(SurfaceControl, "ListInferenceProfiles", "GET", "/inference-profiles")
	GetInferenceProfile   = op(SurfaceControl, "GetInferenceProfile", "GET", "/inference-profiles/{inferenceProfileIdentifier}")

	CreateInferenceProfile = answers(http.StatusCreated, op(SurfaceControl, "CreateInferenceProfile", "POST", "/inference-profiles"))
	DeleteInferenceProfile = op(SurfaceControl, "DeleteInferenceProfile", "DELETE", "/inference-profiles/{inferenceProfileIdentifier}")
	TagResource            = op(SurfaceControl, "TagResource", "POST", "/tagResource")
	UntagResource          = op(SurfaceControl, "UntagResource", "POST", "/untagResource")
	ListTagsForResource    = op(SurfaceControl, "ListTagsForResource", "POST", "/listTagsForResource")

	GetFoundationModelAvailability     = op(SurfaceControl, "GetFoundationModelAvailability", "GET", "/foundation-model-availability/{modelId}")
	ListFoundationModelAgreementOffers = op(SurfaceControl, "ListFoundationModelAgreementOffers", "GET", "/list-foundation-model-agreement-offers/{modelId}")
	CreateFoundationModelAgreement     = answers(http.StatusAccepted, op(SurfaceControl, "CreateFoundationModelAgreement", "POST", "/create-foundation-model-agreement"))
	DeleteFoundationModelAgreement     = answers(http.StatusAccepted, op(SurfaceControl, "DeleteFoundationModelAgreement", "POST", "/delete-foundation-model-agreement"))
	PutUseCaseForModelAccess           = answers(http.StatusCreated, op(SurfaceControl, "PutUseCaseForModelAccess", "POST", "/use-case-for-model-access"))
	GetUseCaseForModelAccess           = op(SurfaceControl, "GetUseCaseForModelAccess", "GET", "/use-case-for-model-access")
	PutAccountDataRetention            = op(SurfaceControl, "PutAccountDataRetention", "PUT", "/data-retention")
	GetAccountDataRetention            = op(SurfaceControl, "GetAccountDataRetention", "GET", "/data-retention")

	PutModelInvocationLoggingConfiguration    = op(SurfaceControl, "PutModelInvocationLoggingConfiguration", "PUT", "/logging/modelinvocations")
	GetModelInvocationLoggingConfiguration    = op(SurfaceControl, "GetModelInvocationLoggingConfiguration", "GET", "/logging/modelinvocations")
	DeleteModelInvocationLoggingConfiguration = op(SurfaceControl, "DeleteModelInvocationLoggingConfiguration", "DELETE", "/logging/modelinvocations")

	CreateMessage       = op(SurfaceMessages, "CreateMessage", "POST", "/anthropic/v1/messages")
	CreateMessageBare   = op(SurfaceMessages, "CreateMessage", "POST", "/v1/messages")
	CountMessage        = op(SurfaceMessages, "CountMessageTokens", "POST", "/anthropic/v1/messages/count_tokens")
	CountMessageBare    = op(SurfaceMessages, "CountMessageTokens", "POST", "/v1/messages/count_tokens")
	ListAnthropicModels = op(SurfaceMessages, "ListModels", "GET", "/anthropic/v1/models")
	ListModels          = op(SurfaceMessages, "ListModels", "GET", "/v1/models")
	GetAnthropicModel   = op(SurfaceMessages, "GetModel", "GET", "/anthropic/v1/models/{model_id}")
	GetModel            = op(SurfaceMessages, "GetModel", "GET", "/v1/models/{model_id}")
	GetCallerIdentity   = op(SurfaceSTS, "GetCallerIdentity", "POST", "/")
)

// Operations lists every row.
func Operations() []*Operation {
	return []*Operation{
		InvokeModel, InvokeModelStream, Converse, ConverseStream, CountTokens,
		ListFoundationModels, GetFoundationModel, ListInferenceProfiles, GetInferenceProfile,
		CreateInferenceProfile, DeleteInferenceProfile, TagResource, UntagResource, ListTagsForResource,
		GetFoundationModelAvailability, ListFoundationModelAgreementOffers, CreateFoundationModelAgreement, DeleteFoundationModelAgreement,
		PutUseCaseForModelAccess, GetUseCaseForModelAccess, PutAccountDataRetention, GetAccountDataRetention,
		PutModelInvocationLoggingConfiguration, GetModelInvocationLoggingConfiguration, DeleteModelInvocationLoggingConfiguration,
		CreateMessage, CreateMessageBare, CountMessage, CountMessageBare, ListModels, ListAnthropicModels, GetModel, GetAnthropicModel,
		GetCallerIdentity,
	}
}

// Match compares the escaped path with the row and gives the label, still
// escaped. The path must not have been cleaned or decoded.
func (o *Operation) Match(method, escapedPath string) (label string, ok bool) {
	rest, ok := strings.CutPrefix(escapedPath, "/")
	if !ok || method != o.Method {
		return "", false
	}
	for i, seg := range o.segments {
		part := rest
		if j := strings.IndexByte(rest, '/'); j >= 0 {
			part, rest = rest[:j], rest[j+1:]
			if i == len(o.segments)-1 {
				return "", false
			}
		} else if i < len(o.segments)-1 {
			return "", false
		}
		if strings.HasPrefix(seg, "{") {
			if part == "" {
				return "", false
			}
			label = part
		} else if part != seg {
			return "", false
		}
	}
	return label, true
}

// SurfaceOf guesses the surface of a path that no operation matches, so that the
// refusal has the right shape.
func SurfaceOf(escapedPath string) Surface {
	switch {
	case strings.HasPrefix(escapedPath, "/model/"):
		return SurfaceRuntime
	case strings.HasPrefix(escapedPath, "/v1/"), strings.HasPrefix(escapedPath, "/anthropic/"):
		return SurfaceMessages
	case escapedPath == "/" || escapedPath == "":
		return SurfaceSTS
	default:
		return SurfaceControl
	}
}
