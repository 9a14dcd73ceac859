// Package report is what every Go program here prints: one JSON object a line, read by the runner.
// It knows no client, so that each program stays what a user would write.
package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// Fields is one line's members.
type Fields map[string]any

// Operation runs one operation with a prompt.
type Operation func(ctx context.Context, prompt string) (Fields, error)

// Say prints one line at once.
func Say(event string, f Fields) {
	if f == nil {
		f = Fields{}
	}
	f["event"] = event
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", b)
}

// Main runs the operation named by the first argument with the prompt in the second;
// explain gives the fields of an error.
func Main(operations map[string]Operation, explain func(error) Fields) {
	run, ok := operations[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "no operation %q\n", os.Args[1])
		os.Exit(2)
	}
	f, err := run(context.Background(), os.Args[2])
	if err != nil {
		f = explain(err)
		f["message"] = err.Error()
		Say("error", f)
		return
	}
	Say("done", f)
}
