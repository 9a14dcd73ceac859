// Package chat is the part of the embedded engine that needs no engine: it reads
// a Messages request into turns of plain text, lays a rendered template over
// them, and turns the bytes of an answer into text that may be sent. Text of a
// caller never becomes a control token, and nothing a request asks for is left
// out unsaid. It runs no model.
package chat
