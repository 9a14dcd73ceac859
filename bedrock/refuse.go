package bedrock

import "strings"

// absent are Anthropic's services that Bedrock does not have, by what their
// paths begin with after /v1/, the longest first.
var absent = [...]struct{ path, what, instead string }{
	{"messages/batches", "Message Batches API", "batches are jobs there: CreateModelInvocationJob of aws-sdk-go-v2/service/bedrock, with JSONL in S3"},
	{"models", "Models API", "ListFoundationModels and ListInferenceProfiles of aws-sdk-go-v2/service/bedrock list models; so does aws bedrock list-foundation-models --by-provider anthropic"},
	{"files", "Files API", "send the bytes in the message, as a base64 source"},
	{"skills", "Agent Skills", "put the instructions into system"},
	{"user_profiles", "User Profiles API", "manage profiles with Anthropic's own service; a message may still name one, with UserProfileID"},
	{"organizations", "Admin API", "keys, limits and usage are AWS's: IAM, Service Quotas, CloudWatch"},
	{"complete", "Text Completions API", "use Messages.New"},
	{"messages", "such call of the Messages API", "Messages.New, NewStreaming and CountTokens work"},
}

// refuse tells before the network what the service would answer with a bare 403
// or 404. Anything outside /v1/ is a path of Bedrock's own.
func (b *backend) refuse(path string) error {
	path = strings.TrimPrefix(path, b.base.EscapedPath())
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return nil
	}
	for _, row := range absent {
		if after, ok := strings.CutPrefix(rest, row.path); ok && (after == "" || after[0] == '/') {
			return unsupported(row.what, row.instead)
		}
	}
	name, _, _ := strings.Cut(rest, "/")
	return unsupported("/v1/"+name, "Messages.New, NewStreaming and CountTokens work; the rest needs Anthropic's own service")
}

func unsupported(what, instead string) *Error {
	return &Error{Code: codeUnsupported, Message: "Amazon Bedrock has no " + what, Hint: instead}
}
