package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

// TestTourOnTheLocalModel runs the built binary's tour on the real engine and
// weights: among its rows the page's greeting, and a PDF with a table and a chart
// whose text reaches the model's prompt.
func TestTourOnTheLocalModel(t *testing.T) {
	const bin = "../../bin/outcrop"
	if _, err := os.Stat(bin); err != nil {
		t.Skip("SKIP(binary): no bin/outcrop; make build makes it")
	}
	if _, err := modelfiles.Find(modelfiles.Options{}); err != nil {
		t.Skipf("SKIP(weights): %v", err)
	}
	out, err := exec.Command(bin, "tour", "--json", "--upstream", "local").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var rows []struct {
		Row            int
		Result, Answer string
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	want := map[int]string{7: "streamed in", 9: "InvokeModel and Converse answer", 10: "Converse reads its text", 11: "in InvokeModel and in Converse"}
	for _, r := range rows {
		if words, ok := want[r.Row]; ok && (r.Result != "ok" || !strings.Contains(r.Answer, words)) {
			t.Errorf("row %d: %s: %s", r.Row, r.Result, r.Answer)
		}
		delete(want, r.Row)
	}
	if len(want) > 0 {
		t.Errorf("rows are missing: %v", want)
	}
}
