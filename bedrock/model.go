package bedrock

const ClaudeOpus4_6 = "anthropic.claude-opus-4-6-v1"

func Global(m string) string { return "global." + m }
