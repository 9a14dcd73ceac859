// Package outcrop is the root of the module and holds nothing: the binary is in
// cmd/outcrop, the Go client in bedrock.
package outcrop
