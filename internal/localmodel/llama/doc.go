// Package llama binds the part of llama.cpp's C API that Outcrop uses, without
// cgo. Structs go by value over this border, so it opens one version only and
// checks that version's layout before the first real call: a mismatch is an
// error, never a guess. It crashes with the C code that it calls, so it runs in
// a child process; it knows no HTTP and no chat.
package llama
