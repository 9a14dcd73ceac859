package bedrock

import (
	"fmt"
	"strings"
)

// The Claude models that InvokeModel has, by their ids. An id without prefix
// stays in one Region; most models are called by [Global] or [Geo] of it. Source:
// AWS's model cards and lifecycle pages, November 2026.
const (
	ClaudeMythos5_1 = "anthropic.claude-mythos-5-1" // by invitation
	ClaudeHaiku5_5  = "anthropic.claude-haiku-5-5"
	ClaudeSonnet5_5 = "anthropic.claude-sonnet-5-5"
	ClaudeOpus5_5   = "anthropic.claude-opus-5-5"
	ClaudeFable5_1  = "anthropic.claude-fable-5-1"
	ClaudeFable5    = "anthropic.claude-fable-5"
	ClaudeOpus5     = "anthropic.claude-opus-5"
	ClaudeSonnet5   = "anthropic.claude-sonnet-5"
	ClaudeOpus4_8   = "anthropic.claude-opus-4-8"
	ClaudeOpus4_7   = "anthropic.claude-opus-4-7"
	ClaudeOpus4_6   = "anthropic.claude-opus-4-6-v1"
	ClaudeSonnet4_6 = "anthropic.claude-sonnet-4-6"
	ClaudeOpus4_5   = "anthropic.claude-opus-4-5-20251101-v1:0"
	ClaudeHaiku4_5  = "anthropic.claude-haiku-4-5-20251001-v1:0"
	ClaudeSonnet4_5 = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	ClaudeOpus4_1   = "anthropic.claude-opus-4-1-20250805-v1:0"
	ClaudeOpus4     = "anthropic.claude-opus-4-20250514-v1:0"
	ClaudeSonnet4   = "anthropic.claude-sonnet-4-20250514-v1:0"
	Claude3_7Sonnet = "anthropic.claude-3-7-sonnet-20250219-v1:0"
	Claude3_5Haiku  = "anthropic.claude-3-5-haiku-20241022-v1:0"
	Claude3Haiku    = "anthropic.claude-3-haiku-20240307-v1:0"
)

// byName finds the constants by Anthropic's own names; those with a date are the
// id's own.
var byName = [...]struct{ name, id string }{
	{"claude-mythos-5-1", ClaudeMythos5_1},
	{"claude-haiku-5-5", ClaudeHaiku5_5},
	{"claude-sonnet-5-5", ClaudeSonnet5_5},
	{"claude-opus-5-5", ClaudeOpus5_5},
	{"claude-fable-5-1", ClaudeFable5_1},
	{"claude-fable-5", ClaudeFable5},
	{"claude-opus-5", ClaudeOpus5},
	{"claude-sonnet-5", ClaudeSonnet5},
	{"claude-opus-4-8", ClaudeOpus4_8},
	{"claude-opus-4-7", ClaudeOpus4_7},
	{"claude-opus-4-6", ClaudeOpus4_6},
	{"claude-sonnet-4-6", ClaudeSonnet4_6},
	{"claude-opus-4-5", ClaudeOpus4_5},
	{"claude-haiku-4-5", ClaudeHaiku4_5},
	{"claude-sonnet-4-5", ClaudeSonnet4_5},
	{"claude-opus-4-1", ClaudeOpus4_1},
	{"claude-opus-4", ClaudeOpus4},
	{"claude-opus-4-0", ClaudeOpus4},
	{"claude-sonnet-4", ClaudeSonnet4},
	{"claude-sonnet-4-0", ClaudeSonnet4},
	{"claude-3-7-sonnet", Claude3_7Sonnet},
	{"claude-3-7-sonnet-latest", Claude3_7Sonnet},
	{"claude-3-5-haiku", Claude3_5Haiku},
	{"claude-3-5-haiku-latest", Claude3_5Haiku},
	{"claude-3-haiku", Claude3Haiku},
}

// ModelID is what Bedrock takes as a model: an id, with or without a prefix, or
// an ARN.
type ModelID struct {
	Prefix string // global, us, eu, jp, au, apac, …; "" for one Region
	Base   string // anthropic.claude-…; "" for a resource of an account's own

	// Of an ARN alone.
	Partition, Region, Account string
	Kind                       string // foundation-model, inference-profile, application-inference-profile, …
	Name                       string // after the kind: the id, or the resource's own name
}

// ParseModelID reads an id or an ARN. It knows the grammar, not the models.
// Anthropic's own names (claude-opus-4-6) are none of Bedrock's ids: [Global],
// [Geo] and [Regional] translate those of the constants.
func ParseModelID(s string) (ModelID, error) {
	if strings.HasPrefix(s, "arn:") {
		return parseARN(s)
	}
	prefix, base, ok := splitPrefix(s)
	if !ok {
		e := badRequest("%q is not the id of a Claude model on Bedrock", s)
		e.Hint = "an id is anthropic.claude-…, with or without a prefix such as global., or an ARN"
		return ModelID{}, e
	}
	return ModelID{Prefix: prefix, Base: base}, nil
}

// splitPrefix reads [prefix.]anthropic.claude-….
func splitPrefix(s string) (prefix, base string, ok bool) {
	if before, after, found := strings.Cut(s, ".anthropic."); found {
		prefix, base = before, "anthropic."+after
	} else {
		base = s
	}
	name, ok := strings.CutPrefix(base, "anthropic.")
	return prefix, base, ok && name != "" && only(name, "-._:") && only(prefix, "-") && (prefix != "" || base == s)
}

// only: lower-case letters, digits and extra.
func only(s, extra string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune(extra, c)) {
			return false
		}
	}
	return true
}

func parseARN(s string) (ModelID, error) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[1] == "" || parts[2] != "bedrock" {
		return ModelID{}, badRequest("%q is not an ARN of Bedrock's", s)
	}
	kind, name, ok := strings.Cut(parts[5], "/")
	if !ok || kind == "" || name == "" {
		return ModelID{}, badRequest("%q is not an ARN of Bedrock's", s)
	}
	id := ModelID{Partition: parts[1], Region: parts[3], Account: parts[4], Kind: kind, Name: name}
	if kind == "foundation-model" || kind == "inference-profile" {
		if id.Prefix, id.Base, ok = splitPrefix(name); !ok {
			return ModelID{}, badRequest("%q does not name a Claude model", s)
		}
	}
	return id, nil
}

// String is the id or ARN, as [ParseModelID] reads it.
func (m ModelID) String() string {
	switch {
	case m.Kind != "":
		return fmt.Sprintf("arn:%s:bedrock:%s:%s:%s/%s", m.Partition, m.Region, m.Account, m.Kind, m.Name)
	case m.Prefix != "":
		return m.Prefix + "." + m.Base
	default:
		return m.Base
	}
}

// Global is the id by which AWS may run the call in any Region, at the price
// without the premium of the others (10 % since Claude Sonnet 4.5).
// model is one of the constants, an id with any prefix, a foundation model's or
// system profile's ARN, or Anthropic's own name of one of the constants. What is
// none of these comes back as it is: the service says what is wrong with it.
func Global(model string) string { return Geo("global", model) }

// Geo is the id by which a call stays within a geography: us, eu, jp, au, apac,
// in, us-gov. model is as for [Global]. Not each model has each of them; what AWS
// does not have in the client's Region is [ErrNotOffered].
func Geo(geography, model string) string {
	if base := baseOf(model); base != "" {
		return geography + "." + base
	}
	return model
}

// Regional is the id without a prefix. AWS offers few models so; an Outcrop
// serves it within the Region, or within the narrowest geography around it.
func Regional(model string) string {
	if base := baseOf(model); base != "" {
		return base
	}
	return model
}

func baseOf(model string) string {
	for _, m := range byName {
		if m.name == model {
			return m.id
		}
		// claude-opus-4-5-20251101 is claude-opus-4-5, on a date.
		if rest, ok := strings.CutPrefix(m.id, "anthropic."+model); ok && (rest == "" || strings.HasPrefix(rest, "-v")) {
			return m.id
		}
	}
	id, err := ParseModelID(model)
	if err != nil {
		return ""
	}
	return id.Base
}
