package converse_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// user wraps blocks into the message of a user, ask into a whole request.
func user(blocks string) string { return `{"role":"user","content":[` + blocks + `]}` }
func model(blocks string) string {
	return `{"role":"assistant","content":[` + blocks + `]}`
}
func ask(turns ...string) string { return `{"messages":[` + strings.Join(turns, ",") + `]}` }
func with(members string, turns ...string) string {
	return `{` + members + `,"messages":[` + strings.Join(turns, ",") + `]}`
}

const (
	hi      = `{"text":"Hi"}`
	tool    = `"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}]}`
	use     = `{"toolUse":{"toolUseId":"a","name":"t","input":{}}}`
	result  = `{"toolResult":{"toolUseId":"a","content":[{"text":"x"}]}}`
	png     = `{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}`
	ruled   = "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character. Check that the file name conforms to these restrictions and retry your request."
	tooLong = "tooluse_0123456789012345678901234567890123456789012345678901234567890123456789"
)

func doc(name, rest string) string {
	return `{"document":{"format":"pdf","name":"` + name + `","source":{"bytes":"JVBERi0xLjQK"}` + rest + `}}`
}

func resultOf(blocks string) string {
	return with(tool, user(hi), model(use), user(`{"toolResult":{"toolUseId":"a","content":[`+blocks+`]}}`))
}

var (
	big    = base64.StdEncoding.EncodeToString(append([]byte("%PDF-"), make([]byte, 4_718_592)...))
	huge   = strings.Repeat("AAAA", 5_242_880/4+1)
	images = strings.Repeat(png+",", 20)
)

// refusals are requests with what is said of them. The texts are AWS's where they
// are known (recorded, or quoted by several users of the service) and name the
// field at fault in any case.
var refusals = []struct{ name, in, want string }{
	// The conversation.
	{"no messages", `{}`, "Malformed input request: #: required key [messages] not found, please reformat your input and try again."},
	{"empty conversation", ask(), "A conversation must start with a user message. Try again with a conversation that starts with a user message."},
	{"the model alone", ask(model(hi)), "A conversation must start with a user message. Try again with a conversation that starts with a user message."},
	{"empty content", ask(user("")), "The content field in the Message object at messages.0 is empty. Add a ContentBlock object to the content field and try again."},
	{"blank text", ask(user(`{"text":" \n\u00a0"}`)), "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again."},
	{"empty text", ask(user(hi), model(hi+`,{"text":""}`)), "The text field in the ContentBlock object at messages.1.content.1 is blank. Add text to the text field, and try again."},
	{"blank system", with(`"system":[{"text":" "}]`, user(hi)), "The text field in the SystemContentBlock object at system.0 is blank. Add text to the text field, and try again."},
	{"empty system", with(`"system":[{"text":""}]`, user(hi)), "1 validation error detected: Value '' at 'system.1.member.text' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	{"a role", ask(`{"role":"tool","content":[{"text":"x"}]}`), "1 validation error detected: Value at 'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]"},
	{"two kinds in a block", ask(user(`{"text":"a","image":{}}`)), "Malformed input request: #/messages/0/content/0: expected exactly one member of ContentBlock, please reformat your input and try again."},
	{"no kind in a block", ask(user(`{}`)), "Malformed input request: #/messages/0/content/0: expected exactly one member of ContentBlock, please reformat your input and try again."},
	{"an unknown kind", ask(user(`{"hologram":{}}`)), "Malformed input request: #/messages/0/content/0: extraneous key [hologram] is not permitted, please reformat your input and try again."},
	{"text that is none", ask(user(`{"text":5}`)), "Malformed input request: #/messages/0/content/0/text: expected a string, please reformat your input and try again."},
	{"content that is no list", ask(`{"role":"user","content":"Hi"}`), "Malformed input request: #/messages/0/content: expected an array, please reformat your input and try again."},
	{"a duplicate member", ask(`{"role":"user","role":"user","content":[]}`), `Malformed input request: #/messages/0: duplicate key "role", please reformat your input and try again.`},
	{"a case variant", with(`"inferenceConfig":{"MaxTokens":1}`, user(hi)), `Malformed input request: #/inferenceConfig: key "MaxTokens" differs from "maxTokens" only in case, please reformat your input and try again.`},

	// Media that Claude does not take.
	{"video", resultOf(`{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://bucket/key"}}}}`), "This model doesn't support the video content block that you provided. Update the content block and try again."},
	{"video of the user's", ask(user(`{"video":{"format":"mp4","source":{"bytes":"AAAA"}}}`)), "This model doesn't support the video content block that you provided. Update the content block and try again."},
	{"an error of the service's", ask(user(`{"image":{"format":"png","source":{"bytes":"AAAA"},"error":{"message":"x"}}}`)), "Malformed input request: #/messages/0/content/0/image: extraneous key [error] is not permitted, please reformat your input and try again."},
	{"the type of a server tool's result", with(tool, user(hi), model(use), user(`{"toolResult":{"toolUseId":"a","content":[],"type":"nova_grounding_result"}}`)), `The type "nova_grounding_result" at messages.2.content.0.toolResult.type is of a server tool, which Claude models do not have in Converse. Remove the block and try again.`},
	{"audio", ask(user(`{"audio":{"format":"mp3","source":{"bytes":"AAAA"}}}`)), "This model doesn't support the audio content block that you provided. Update the content block and try again."},
	{"an image in S3", ask(user(`{"image":{"format":"png","source":{"s3Location":{"uri":"s3://bucket/key"}}}}`)), "This model doesn't support the s3Uri field. Remove s3Uri and try again."},
	{"a document in S3", ask(user(hi + `,{"document":{"format":"pdf","name":"a","source":{"s3Location":{"uri":"s3://bucket/key"}}}}`)), "messages.0.content.1.document.source.type: Field required"},
	{"an image's format", ask(user(`{"image":{"format":"jpg","source":{"bytes":"AAAA"}}}`)), "1 validation error detected: Value at 'messages.1.member.content.1.member.image.format' failed to satisfy constraint: Member must satisfy enum value set: [png, jpeg, gif, webp]"},
	{"bytes that are not base64", ask(user(`{"image":{"format":"png","source":{"bytes":"a b c"}}}`)), "Malformed input request: #/messages/0/content/0/image/source/bytes: expected base64, please reformat your input and try again."},
	{"an image too large", ask(user(`{"image":{"format":"png","source":{"bytes":"` + huge + `"}}}`)), "messages.0.content.0.image.source: image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes"},
	{"twenty-one images", ask(user(images + png)), "too many images and documents: 21 + 0 > 20"},
	{"twenty images and a PDF", ask(user(images + hi + "," + doc("a", `,"citations":{"enabled":true}`))), "too many images and documents: 20 + 1 > 20"},
	{"an image of the model's", ask(user(hi), model(png)), "The image block at messages.1.content.0 cannot be included there. Remove it and try again."},
	{"an image in a system message", ask(user(hi), `{"role":"system","content":[`+png+`]}`), "This model doesn't support the image field for system messages."},

	// Documents.
	{"no text beside a document", ask(user(doc("a", ""))), "A text block must be included when using documents. Add a text block and retry your request."},
	{"text in another message", ask(user(doc("a", "")), model(hi), user(hi)), "A text block must be included when using documents. Add a text block and retry your request."},
	{"a dot in a name", ask(user(hi + "," + doc("a.pdf", ""))), ruled},
	{"two spaces in a name", ask(user(hi + "," + doc("a  b", ""))), ruled},
	{"a tab in a name", ask(user(hi + "," + doc(`a\tb`, ""))), ruled},
	{"a wide space in a name", ask(user(hi + "," + doc("a\u3000b", ""))), ruled},
	{"an empty name", ask(user(hi + "," + doc("", ""))), "1 validation error detected: Value at 'messages.1.member.content.2.member.document.name' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	{"a long name", ask(user(hi + "," + doc(strings.Repeat("a", 201), ""))), "1 validation error detected: Value at 'messages.1.member.content.2.member.document.name' failed to satisfy constraint: Member must have length less than or equal to 200"},
	{"a name twice", ask(user(hi+","+doc("a", "")), model(hi), user(hi+","+doc("a", ""))), "Messages can't contain duplicate document names. Rename the document and retry your request."},
	{"six documents", ask(user(hi + "," + doc("a", "") + "," + doc("b", "") + "," + doc("c", "") + "," + doc("d", "") + "," + doc("e", "") + "," + doc("f", ""))), "You can't include more than 5 documents in a request."},
	{"a document too large", ask(user(hi + `,{"document":{"format":"pdf","name":"a","source":{"bytes":"` + big + `"}}}`)), "The document at messages.0.content.1.document.source.bytes has 4718597 bytes, more than the maximum document size of 4.5 MB. Provide a smaller document and try again."},
	{"a format that cannot be cited", ask(user(hi + `,{"document":{"format":"md","name":"a","source":{"bytes":"AAAA"},"citations":{"enabled":true}}}`)), "Unsupported document format. Only txt and pdf formats are supported when citations are enabled"},
	{"a PDF that is none", ask(user(hi + `,{"document":{"format":"pdf","name":"a","source":{"bytes":"AAAA"},"citations":{"enabled":true}}}`)), "messages.0.content.1.image.source.bytes: The PDF specified was not valid."},
	{"citations in a result", resultOf(doc("a", `,"citations":{"enabled":true}`)), "Citations are not supported in tool result documents."},

	// Tools.
	{"no toolConfig", ask(user(hi), model(use), user(result)), "The toolConfig field must be defined when using toolUse and toolResult content blocks."},
	{"no tools", with(`"toolConfig":{"tools":[]}`, user(hi)), "1 validation error detected: Value '[]' at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	{"a tool's name", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"","description":"","inputSchema":{"json":{"type":"object"}}}}]}`, user(hi)), "3 validation errors detected: Value '' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+; Value '' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'toolConfig.tools.1.member.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	{"a tool's name with a space", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"Complete Session","inputSchema":{"json":{"type":"object"}}}}]}`, user(hi)), "1 validation error detected: Value 'Complete Session' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"},
	{"a schema that is not of an object", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"string"}}}}]}`, user(hi)), "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object."},
	{"a schema that is no object", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":"object"}}}]}`, user(hi)), "The format of the value at toolConfig.tools.0.toolSpec.inputSchema.json is invalid. Provide a json object for the field and try again."},
	{"a system tool", with(`"toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]}`, user(hi)), "This model doesn't support the toolConfig.tools.systemTool field. Remove toolConfig.tools.systemTool and try again."},
	{"a tool's input that is no object", with(tool, user(hi), model(`{"toolUse":{"toolUseId":"a","name":"t","input":"{}"}}`), user(result)), "The format of the value at messages.1.content.0.toolUse.input is invalid. Provide a json object for the field and try again."},
	{"a json that is no object", resultOf(`{"json":[1]}`), "The format of the value at messages.2.content.0.toolResult.content.0.json is invalid. Provide a json object for the field and try again."},
	{"a long id", with(tool, user(hi), model(`{"toolUse":{"toolUseId":"`+tooLong+`","name":"t","input":{}}}`), user(hi)), "1 validation error detected: Value at 'messages.2.member.content.1.member.toolUse.toolUseId' failed to satisfy constraint: Member must have length less than or equal to 64"},
	{"a result too many", with(tool, user(hi), model(hi), user(result)), "The number of toolResult blocks at messages.2.content exceeds the number of toolUse blocks of previous turn."},
	{"a result missing", with(tool, user(hi), model(use), user(hi)), "Expected toolResult blocks at messages.2.content for the following Ids: a"},
	{"a result in the next message but one", with(tool, user(hi), model(use+`,{"toolUse":{"toolUseId":"b","name":"t","input":{}}}`), user(result), user(`{"toolResult":{"toolUseId":"b","content":[]}}`)), "Expected toolResult blocks at messages.2.content for the following Ids: b"},
	{"an error without content", with(tool, user(hi), model(use), user(`{"toolResult":{"toolUseId":"a","content":[],"status":"error"}}`)), "The content field at messages.2.content.0.toolResult cannot be empty when status value is error."},
	{"a call by the user", with(tool, user(use)), "The toolUse block at messages.0.content.0 cannot be included there. Remove it and try again."},
	{"a server tool's call", with(tool, user(hi), model(`{"toolUse":{"toolUseId":"a","name":"t","input":{},"type":"server_tool_use"}}`), user(result)), `The type "server_tool_use" at messages.1.content.0.toolUse.type is of a server tool, which Claude models do not have in Converse. Remove the block and try again.`},
	{"a tool added", ask(user(hi), `{"role":"system","content":[{"toolAddition":{"tool":{"name":"t"}}}]}`), "This model doesn't support the toolAddition field for system messages."},
	{"a tool removed", ask(user(hi), `{"role":"system","content":[{"toolRemoval":{"tool":{"name":"t"}}}]}`), "This model doesn't support the toolRemoval field for system messages."},

	// What stands beside the conversation.
	{"tokens", with(`"inferenceConfig":{"maxTokens":0}`, user(hi)), "1 validation error detected: Value '0' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1"},
	{"temperature", with(`"inferenceConfig":{"temperature":1.5}`, user(hi)), "1 validation error detected: Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1"},
	{"a stop sequence", with(`"inferenceConfig":{"stopSequences":["a",""]}`, user(hi)), "1 validation error detected: Value '' at 'inferenceConfig.stopSequences.2.member' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	{"a field set twice", with(`"inferenceConfig":{"maxTokens":5},"additionalModelRequestFields":{"max_tokens":6}`, user(hi)), "The additional field max_tokens conflicts with an existing field."},
	{"system set twice", with(`"system":[{"text":"a"}],"additionalModelRequestFields":{"system":"b"}`, user(hi)), "The additional field system conflicts with an existing field."},
	{"a tool choice set twice", with(`"toolConfig":{"tools":[{"toolSpec":{"name":"t","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"any":{}}},"additionalModelRequestFields":{"tool_choice":{"type":"auto"}}`, user(hi)), "The additional field tool_choice conflicts with an existing field."},
	{"a case variant of a field", with(`"inferenceConfig":{"maxTokens":5},"additionalModelRequestFields":{"Max_Tokens":99999}`, user(hi)), `Malformed input request: #/additionalModelRequestFields: key "Max_Tokens" differs from "max_tokens" only in case, please reformat your input and try again.`},
	{"the model as a field", with(`"additionalModelRequestFields":{"model":"claude"}`, user(hi)), "The additional field model conflicts with an existing field."},
	{"prompt variables", with(`"promptVariables":{"a":{"text":"b"}}`, user(hi)), "promptVariables belongs to a prompt resource, which cannot be called here. Remove promptVariables and try again."},
	{"a guardrail's part", with(`"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}`, user(`{"guardContent":{"text":{"text":"x"}}}`)), "The guardContent at messages.0.content.0.guardContent limits a guardrail to a part of the request, which cannot be carried to this model's upstream. Remove guardContent or guardrailConfig and try again."},
	{"a pointer", with(`"additionalModelResponseFieldPaths":["stop_sequence"]`, user(hi)), "The JSON pointer 'stop_sequence' at additionalModelResponseFieldPaths.0 is not valid. Provide a pointer that begins with / and try again."},
	{"an empty pointer", with(`"additionalModelResponseFieldPaths":[""]`, user(hi)), "The JSON pointer '' at additionalModelResponseFieldPaths.0 is not valid. Provide a pointer that begins with / and try again."},
	{"metadata", with(`"requestMetadata":{"a":"b!"}`, user(hi)), `1 validation error detected: Value at 'requestMetadata.a' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9\s:_@$#=/+,-.]{0,256}`},
	{"a latency", with(`"performanceConfig":{"latency":"fast"}`, user(hi)), "1 validation error detected: Value 'fast' at 'performanceConfig.latency' failed to satisfy constraint: Member must satisfy enum value set: [standard, optimized]"},
	{"a tier", with(`"serviceTier":{}`, user(hi)), "1 validation error detected: Value null at 'serviceTier.type' failed to satisfy constraint: Member must not be null"},
	{"a cache point that caches nothing", ask(user(`{"cachePoint":{"type":"default"}},` + hi)), "The cachePoint at messages.0.content.0.cachePoint has no block before it that can be cached. Put it behind such a block and try again."},
	{"a cache point behind reasoning", ask(user(hi), model(`{"reasoningContent":{"reasoningText":{"text":"a"}}},{"cachePoint":{"type":"default"}}`), user(hi)), "The cachePoint at messages.1.content.1.cachePoint has no block before it that can be cached. Put it behind such a block and try again."},
	{"a schema that is no JSON", with(`"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{"}}}}`, user(hi)), "The schema at outputConfig.textFormat.structure.jsonSchema.schema is not a JSON object: unexpected end of JSON (at byte 1). Provide a JSON schema and try again."},
	{"a citation without a place", ask(user(hi), model(`{"citationsContent":{"content":[{"text":"a"}],"citations":[{"title":"t"}]}}`), user(hi)), "The location nameless at messages.1.content.0.citationsContent.citations.0.location is none that Messages can take back: it must be documentChar, documentPage, documentChunk or searchResultLocation."},
	{"a citation of the web", ask(user(hi), model(`{"citationsContent":{"content":[{"text":"a"}],"citations":[{"location":{"web":{"url":"https://example.com"}}}]}}`), user(hi)), "The location web at messages.1.content.0.citationsContent.citations.0.location is none that Messages can take back: it must be documentChar, documentPage, documentChunk or searchResultLocation."},
	{"a location that is not whole", ask(user(hi), model(`{"citationsContent":{"content":[{"text":"a"}],"citations":[{"location":{"documentChar":{"documentIndex":0}}}]}}`), user(hi)), "The location at messages.1.content.0.citationsContent.citations.0.location.documentChar is not whole: it needs its index, start and end."},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			r, err := converse.ToMessages([]byte(tt.in), converse.Options{TextOf: textOf})
			if err == nil {
				t.Fatalf("accepted: %s", r.Body)
			}
			if e := asError(t, err); e.Message != tt.want {
				t.Errorf("got  %s\nwant %s", e.Message, tt.want)
			}
		})
	}
}

// What the model would say is marked so, for AWS puts a prefix before it.
func TestVoice(t *testing.T) {
	for in, want := range map[string]messages.Kind{
		ask(user(`{"text":""}`)): messages.InvalidRequest,
		ask(user(hi + `,{"document":{"format":"pdf","name":"a","source":{"s3Location":{"uri":"s3://b"}}}}`)): messages.ModelRejected,
	} {
		_, err := converse.ToMessages([]byte(in), converse.Options{})
		if e := asError(t, err); e.Kind != want {
			t.Errorf("%s: kind %v, want %v", e.Message, e.Kind, want)
		}
	}
}

// Names and sizes at their limits pass.
func TestLimitsMetExactly(t *testing.T) {
	image := strings.Repeat("AAAA", 5_242_880/4)
	pdf := base64.StdEncoding.EncodeToString(append([]byte("%PDF-"), make([]byte, 4_718_592-5)...))
	for _, in := range []string{
		ask(user(`{"image":{"format":"png","source":{"bytes":"` + image + `"}}}`)),
		ask(user(hi + `,{"document":{"format":"pdf","name":"a","source":{"bytes":"` + pdf + `"}}}`)),
		ask(user(strings.Repeat(png+",", 19) + png)),
		ask(user(hi + "," + doc(strings.Repeat("a", 200), "") + "," + doc(" A-z_0(1)[2] ", ""))),
		with(`"requestMetadata":{"k-1":"v:1 @$#=/+,.","e":""}`, user(hi)),
		with(`"inferenceConfig":{"temperature":0,"topP":1.0}`, user(hi)),
		with(tool, user(hi), model(`{"toolUse":{"toolUseId":"`+tooLong[:64]+`","name":"t","input":{}}}`)),
	} {
		if _, err := converse.ToMessages([]byte(in), converse.Options{TextOf: textOf}); err != nil {
			t.Errorf("%.80s: %v", in, err)
		}
	}
}

// A document's reader may say itself what is wrong; another failure of its is
// not shown.
func TestTextOfFails(t *testing.T) {
	in := []byte(ask(user(hi + "," + doc("a", ""))))
	own := messages.Errorf(messages.InvalidRequest, "The document a is encrypted.")
	for _, tt := range []struct {
		textOf func([]byte, string, string) (string, error)
		want   string
	}{
		{func([]byte, string, string) (string, error) { return "", own }, "The document a is encrypted."},
		{func([]byte, string, string) (string, error) { return "", fmt.Errorf("at 0x7f") }, "The document at messages.0.content.1.document.source.bytes cannot be read."},
		{nil, "The document at messages.0.content.1.document.source.bytes needs its text to be extracted, which is not available here. Send source.text, or enable citations for a PDF."},
	} {
		_, err := converse.ToMessages(in, converse.Options{TextOf: tt.textOf})
		if e := asError(t, err); e.Message != tt.want {
			t.Errorf("got %s, want %s", e.Message, tt.want)
		}
	}
}

// A Messages request that Converse cannot hold is refused by the name of what is
// too much; with lossy, that is dropped and named.
func TestRefusalsOfMessages(t *testing.T) {
	block := func(role, b string) string {
		return `{"messages":[{"role":"user","content":"Hi"},{"role":"` + role + `","content":[{"type":"text","text":"a"},` + b + `]}]}`
	}
	for _, tt := range []struct{ name, in, want, dropped string }{
		{"a server tool", block("assistant", `{"type":"server_tool_use","id":"s","name":"web_search","input":{}}`), "messages.1.content.1: the block server_tool_use cannot be carried over to Converse there", "messages.1.content.1 (server_tool_use)"},
		{"a kind of tomorrow", block("user", `{"type":"hologram","x":1}`), "messages.1.content.1: the block hologram cannot be carried over to Converse there", "messages.1.content.1 (hologram)"},
		{"an image of the model's", block("assistant", `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}`), "messages.1.content.1: the block image cannot be carried over to Converse there", "messages.1.content.1 (image)"},
		{"an image from a URL", block("user", `{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}`), `messages.1.content.1.source: the source url cannot be carried over to Converse`, "messages.1.content.1.source (url)"},
		{"a file", block("user", `{"type":"document","source":{"type":"file","file_id":"f"}}`), `messages.1.content.1.source: the source file cannot be carried over to Converse`, "messages.1.content.1.source (file)"},
		{"a PDF without citations", block("user", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}`), "messages.1.content.1.citations: Converse reads a PDF without citations as text alone; enable them to have its pages read", "messages.1.content.1.citations"},
		{"a title", block("user", `{"type":"document","title":"a.txt","source":{"type":"text","media_type":"text/plain","data":"x"}}`), "messages.1.content.1.title: Converse takes a document's name only if it is unique, of at most 200 letters, digits, hyphens, parentheses, brackets and single spaces", "messages.1.content.1.title"},
		{"an unknown member", block("user", `{"type":"text","text":"b","tone":"warm"}`), "messages.1.content.1.tone: cannot be carried over to Converse", "messages.1.content.1.tone"},
		{"a cache scope", block("user", `{"type":"text","text":"b","cache_control":{"type":"ephemeral","scope":"global"}}`), "messages.1.content.1.cache_control.scope: cannot be carried over to Converse", "messages.1.content.1.cache_control.scope"},
		{"a caller", block("assistant", `{"type":"tool_use","id":"a","name":"t","input":{},"caller":{"type":"code_execution_20250825","tool_id":"x"}}`), "messages.1.content.1.caller: cannot be carried over to Converse", "messages.1.content.1.caller"},
		{"a mark inside a result", `{"tools":[{"name":"t","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"t","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}]}`, "messages.2.content.0.content.0.cache_control: cannot be carried over to Converse", "messages.2.content.0.content.0.cache_control"},
		{"citations of a user's", block("user", `{"type":"text","text":"b","citations":[{"type":"char_location"}]}`), "messages.1.content.1.citations: cannot be carried over to Converse", "messages.1.content.1.citations"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := converse.FromMessages([]byte(tt.in), false)
			if err == nil {
				t.Fatal("accepted")
			}
			if e := asError(t, err); e.Message != tt.want {
				t.Errorf("got  %s\nwant %s", e.Message, tt.want)
			}
			body, dropped, err := converse.FromMessages([]byte(tt.in), true)
			if tt.name == "a caller" { // without tools it is refused all the same
				return
			}
			if err != nil || strings.Join(dropped, " ") != tt.dropped {
				t.Errorf("lossy: %v, dropped %q, want %q: %s", err, dropped, tt.dropped, body)
			}
		})
	}
}
