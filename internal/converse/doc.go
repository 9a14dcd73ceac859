// Package converse holds the Converse vocabulary and the only translation
// between it and Anthropic Messages: requests, answers and stream events, both
// ways.
//
// Invariant: the translation is total. Each member of either side is mapped,
// carried beside the body, or refused by name (docs/converse.md lists which);
// what is left out because the caller asked for that, or because it has no
// effect on a Claude model, is named in Dropped. JSON that passes through (tool
// inputs, schemas, text) keeps its bytes.
//
// Non-goal: transport, policy and what a model can do; those are the gateway's.
package converse
