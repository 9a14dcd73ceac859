package converse

import "slices"

// Place is where a block stands.
type Place uint8

const (
	User      Place = 1 << iota // a message of the user
	Assistant                   // a message of the model
	MidSystem                   // a message of the system role
	System                      // the system prompt
	Result                      // inside a tool's result
	Tools                       // the list of tools
	Answer                      // the model's answer
)

// Places lists every Place in the order of the table.
func Places() []Place { return []Place{User, Assistant, MidSystem, System, Result, Tools, Answer} }

// placeOf is the place of a message's content; 0 for a role that is none.
func placeOf(role string) Place {
	switch role {
	case "user":
		return User
	case "assistant":
		return Assistant
	case "system":
		return MidSystem
	default:
		return 0
	}
}

func (p Place) String() string {
	switch p {
	case User:
		return "user"
	case Assistant:
		return "assistant"
	case MidSystem:
		return "system role"
	case System:
		return "system"
	case Result:
		return "tool result"
	case Tools:
		return "tools"
	case Answer:
		return "answer"
	default:
		return "several places"
	}
}

// Row is one kind of block: what it becomes, and where it may stand. Everywhere
// else it is refused by name.
type Row struct {
	Kind    string
	Becomes string // empty: refused everywhere
	At      Place  // a set
	Refusal string // AWS's own words, where they are known
	Note    string
}

// fromConverse has a row for each member of Converse's unions of content. The
// texts for video were recorded; for tool changes see stdapi-ai/stdapi.ai#104.
var fromConverse = []Row{
	{Kind: "text", Becomes: "text", At: User | Assistant | MidSystem | System | Result | Answer},
	{Kind: "image", Becomes: "image", At: User | Result, Note: "bytes only"},
	{Kind: "document", Becomes: "document", At: User | Result, Note: "a PDF without citations becomes its text"},
	{Kind: "video", Refusal: "This model doesn't support the video content block that you provided. Update the content block and try again."},
	{Kind: "audio", Refusal: "This model doesn't support the audio content block that you provided. Update the content block and try again."},
	{Kind: "toolUse", Becomes: "tool_use", At: Assistant | Answer},
	{Kind: "toolResult", Becomes: "tool_result", At: User},
	{Kind: "guardContent", Becomes: "text, image", At: User | Assistant | System, Note: "without a guardrail; with one it is refused: Messages has no scope for it"},
	{Kind: "cachePoint", Becomes: "cache_control of the block before", At: User | Assistant | MidSystem | System | Tools},
	{Kind: "reasoningContent", Becomes: "thinking, redacted_thinking", At: Assistant | Answer},
	{Kind: "citationsContent", Becomes: "text with citations", At: Assistant | Answer},
	{Kind: "searchResult", Becomes: "search_result", At: User | Result},
	{Kind: "toolAddition", Note: "no Claude model takes it"},
	{Kind: "toolRemoval", Note: "no Claude model takes it"},
	{Kind: "json", Becomes: "text", At: Result, Note: "the text is the JSON, byte for byte"},
	{Kind: "toolSpec", Becomes: "a tool with a schema", At: Tools},
	{Kind: "systemTool", Refusal: "This model doesn't support the toolConfig.tools.systemTool field. Remove toolConfig.tools.systemTool and try again."},
}

// toConverse has a row for each kind of Messages block. A kind that is not here
// is refused as the ones without Becomes are.
var toConverse = []Row{
	{Kind: "text", Becomes: "text, citationsContent", At: User | Assistant | MidSystem | System | Result | Answer},
	{Kind: "image", Becomes: "image", At: User | Result, Note: "base64 only"},
	{Kind: "document", Becomes: "document", At: User | Result, Note: "a PDF only with citations: without, Converse would read its text alone"},
	{Kind: "search_result", Becomes: "searchResult", At: User | Result},
	{Kind: "tool_use", Becomes: "toolUse", At: Assistant | Answer},
	{Kind: "tool_result", Becomes: "toolResult", At: User},
	{Kind: "thinking", Becomes: "reasoningContent.reasoningText", At: Assistant | Answer},
	{Kind: "redacted_thinking", Becomes: "reasoningContent.redactedContent", At: Assistant | Answer, Note: "base64 of data: the blob's bytes are its text"},
	{Kind: "server_tool_use"},
	{Kind: "web_search_tool_result"},
	{Kind: "web_fetch_tool_result"},
	{Kind: "code_execution_tool_result"},
	{Kind: "bash_code_execution_tool_result"},
	{Kind: "text_editor_code_execution_tool_result"},
	{Kind: "tool_search_tool_result"},
	{Kind: "tool_reference"},
	{Kind: "browser_state"},
	{Kind: "container_upload"},
	{Kind: "mcp_tool_use"},
	{Kind: "mcp_tool_result"},
	{Kind: "compaction"},
	{Kind: "fallback"},
	{Kind: "advisor_tool_result"},
	{Kind: "tool_addition"},
	{Kind: "tool_removal"},
	{Kind: "mcp_tool_listing"},
}

// FromConverse are the rows of Converse's blocks.
func FromConverse() []Row { return slices.Clone(fromConverse) }

// ToConverse are the rows of Messages' blocks.
func ToConverse() []Row { return slices.Clone(toConverse) }

func rowOf(rows []Row, kind []byte) *Row {
	for i := range rows {
		if rows[i].Kind == string(kind) {
			return &rows[i]
		}
	}
	return nil
}

// admit says whether a Converse block of that kind may stand at the place, and
// refuses it in AWS's words, as far as they are known, where not.
func (w *walker) admit(kind []byte, at Place) bool {
	row := rowOf(fromConverse, kind)
	switch {
	case row == nil:
		w.extra(kind)
		return false
	case row.At&at != 0:
		return true
	case row.Refusal != "":
		w.fail("%s", row.Refusal)
	case at == MidSystem:
		w.fail("This model doesn't support the %s field for system messages.", kind)
	case row.Becomes == "":
		w.fail("This model doesn't support the %s field. Remove %s and try again.", kind, kind)
	default:
		w.fail("The %s block at %s cannot be included there. Remove it and try again.", kind, w.above())
	}
	return false
}

// above is the place of the object that is being read.
func (w *walker) above() string {
	at := w.path
	w.path = at[:len(at)-1]
	s := w.dotted()
	w.path = at
	return s
}
