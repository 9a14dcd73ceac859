// Package messages holds the vocabulary of Anthropic Messages: requests,
// answers, stream events, usage and errors. It is the canonical dialect: every
// other one is translated to or from it (package converse). Unknown block and
// event kinds are kept as raw bytes and written back as they came. It knows no
// transport and no policy.
package messages
