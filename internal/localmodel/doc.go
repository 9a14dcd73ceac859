// Package localmodel runs the embedded model: a child process of our own binary
// that serves Anthropic Messages on a private address. The child starts on first
// use, comes back after a crash, goes when it is idle and never outlives this
// process. C code is loaded by the child alone, so its faults end one request
// and not the server. Whoever wants answers asks through Client as from any
// Messages server; what the answers mean is no business of this package.
package localmodel
