// Package worker is the child process of the embedded engine: it loads the C
// library and the weights and serves Anthropic Messages on a private address
// until its standard input closes. An answer depends on its request alone, not
// on what ran before or runs beside it. It restarts nothing and knows no users.
package worker
