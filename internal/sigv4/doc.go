// Package sigv4 signs and verifies AWS Signature Version 4, and the short-term
// Bedrock API keys that are made of it.
//
// Invariant: Sign, Verify and the presigned keys all build the canonical
// request in one function, so what this package signs it also accepts.
//
// Not a goal: S3's variants (single path encoding, unsigned and streamed
// payloads) and the normalisation of dot segments. Bedrock's clients encode
// the path they send once more and sign that.
package sigv4
