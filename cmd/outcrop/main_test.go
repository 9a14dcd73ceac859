package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestFlags holds each flag to its environment twin and to a help text.
func TestFlags(t *testing.T) {
	parser, err := newParser(new(cli), console{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = kong.Visit(parser.Model, func(v kong.Visitable, next kong.Next) error {
		node, ok := v.(*kong.Node)
		if !ok {
			return next(nil)
		}
		if node.Help == "" && node.Type == kong.CommandNode {
			t.Errorf("%s has no help", node.FullPath())
		}
		for _, f := range node.Flags {
			if f.Name == "help" {
				continue
			}
			n++
			if len(f.Envs) != 1 || !strings.HasPrefix(f.Envs[0], "OUTCROP_") {
				t.Errorf("%s --%s has the variables %q", node.FullPath(), f.Name, f.Envs)
			}
			if f.Help == "" {
				t.Errorf("%s --%s has no help", node.FullPath(), f.Name)
			}
		}
		return next(nil)
	})
	if err != nil || n < 30 {
		t.Fatalf("%d flags: %v", n, err)
	}
}
