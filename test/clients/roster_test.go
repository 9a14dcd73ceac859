package clients

import "slices"

// clients are the rows, tier by tier.
var clients = []client{
	{
		name: "anthropic-python-1", pkg: "anthropic", env: "anthropic-1", program: "anthropic_bedrock.py",
		operations: pythonOperations, own: pythonOwn,
		refused:   failure{Type: "anthropic.PermissionDeniedError", Status: 403},
		throttled: failure{Type: "anthropic.APIStatusError", Code: "throttlingException", Status: 200},
		cut:       failure{Type: "anthropic.APIStatusError", Code: "modelStreamErrorException", Status: 200},
	},
	{
		name: "anthropic-python-2", pkg: "anthropic", env: "anthropic-2", program: "anthropic_bedrock.py",
		operations: pythonOperations, own: pythonOwn,
		refused:   failure{Type: "anthropic.PermissionDeniedError", Status: 403},
		throttled: failure{Type: "anthropic.APIStatusError", Code: "throttlingException", Status: 200},
		cut:       failure{Type: "anthropic.APIStatusError", Code: "modelStreamErrorException", Status: 200},
	},
	{
		name: "boto3", pkg: "boto3", env: "boto3", program: "boto3_bedrock.py",
		operations: append(slices.Clone(awsOperations), "access"), own: bearerOverTLS,
		refused:   failure{Type: "botocore.exceptions.ClientError", Code: "InvalidSignatureException"},
		throttled: failure{Type: "botocore.exceptions.EventStreamError", Code: "throttlingException"},
		cut:       failure{Type: "botocore.exceptions.EventStreamError", Code: "modelStreamErrorException"},
		invalid:   failure{Type: "botocore.errorfactory.ValidationException", Code: "ValidationException"},
	},
	{name: "aws-cli", pkg: "awscli", env: "awscli", own: cliAll},
	{
		name: "bedrock-sdk-typescript", pkg: "@anthropic-ai/bedrock-sdk", env: "js", program: "anthropic_bedrock.mjs",
		operations: []string{
			"plain", "stream", "error", "cut", "tools", "1m", "count", "refused", "polluted", "api-key", "tls",
			"mantle", "mantle-stream", "mantle-count", "mantle-refused",
		},
		refused:   failure{Type: "PermissionDeniedError", Status: 403},
		throttled: failure{Type: "APIError", Code: "throttlingException"},
		cut:       failure{Type: "APIError", Code: "modelStreamErrorException"},
	},
	{
		name: "anthropic-go-1", pkg: "github.com/anthropics/anthropic-sdk-go", program: "gov1",
		operations: goOperations, own: goOwn,
		refused:   failure{Type: "*anthropic.Error", Status: 403},
		throttled: failure{Type: "*anthropic.Error", Code: "throttlingException", Status: 200},
		cut:       failure{Type: "*anthropic.Error", Code: "modelStreamErrorException", Status: 200},
	},
	{
		name: "anthropic-go-2", pkg: "github.com/anthropics/anthropic-sdk-go/v2", program: "gov2",
		operations: goOperations, own: goOwn,
		refused:   failure{Type: "*anthropic.Error", Status: 403},
		throttled: failure{Type: "*anthropic.Error", Code: "throttlingException", Status: 200},
		cut:       failure{Type: "*anthropic.Error", Code: "modelStreamErrorException", Status: 200},
	},
	{
		name: "aws-sdk-go-2", pkg: "github.com/aws/aws-sdk-go-v2/service/bedrockruntime", program: "awsgo",
		operations: awsOperations, own: bearerOverTLS,
		refused:   failure{Type: "smithy.APIError", Code: "InvalidSignatureException", Status: 403},
		throttled: failure{Type: "*types.ThrottlingException", Code: "ThrottlingException"},
		cut:       failure{Type: "smithy.APIError", Code: "ModelStreamErrorException"},
		invalid:   failure{Type: "*types.ValidationException", Code: "ValidationException", Status: 400},
	},
	{name: "claude-code", pkg: "@anthropic-ai/claude-code", env: "claude-code", own: claudeOwn},
	{
		name: "aws-sdk-js-3", pkg: "@aws-sdk/client-bedrock-runtime", env: "js", program: "aws_bedrock.mjs",
		operations: awsOperations,
		refused:    failure{Type: "BedrockRuntimeServiceException", Code: "InvalidSignatureException", Status: 403},
		throttled:  failure{Type: "ThrottlingException", Code: "ThrottlingException"},
		cut:        failure{Type: "ModelStreamErrorException", Code: "ModelStreamErrorException"},
		invalid:    failure{Type: "ValidationException", Code: "ValidationException", Status: 400},
	},
}

var (
	pythonOperations = []string{
		"plain", "stream", "error", "cut", "tools", "1m", "refused", "polluted", "api-key", "tls",
		"mantle", "mantle-stream", "mantle-count", "mantle-refused",
	}
	goOperations = []string{
		"plain", "stream", "error", "cut", "tools", "1m", "count", "refused", "polluted", "api-key", "tls",
		"mantle", "mantle-stream", "mantle-count", "mantle-refused",
	}
	awsOperations = []string{
		"plain", "stream", "error", "cut", "tools", "list", "count", "sts", "refused", "polluted", "api-key", "tls",
		"converse", "converse-stream", "converse-tools", "converse-pdf", "converse-count", "converse-error",
	}
)
