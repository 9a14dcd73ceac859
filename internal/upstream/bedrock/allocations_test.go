//go:build unix && !race

package bedrock

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPassThroughAllocations holds the same calls, one after another, to their
// budgets. The race detector drops what is pooled.
func TestPassThroughAllocations(t *testing.T) {
	aws := httptest.NewServer(passedTo())
	t.Cleanup(aws.Close)
	m := startMiddle(t, "outcrop", aws.URL)
	client := &http.Transport{}
	defer client.CloseIdleConnections()
	for _, call := range passes {
		if strings.HasPrefix(call.name, "stream-paced") { // it takes its time
			continue
		}
		signed := m.sign(t, call.op, call.body)
		const warm, calls = 50, 400
		var before spent
		for i := range warm + calls {
			if i == warm {
				before = m.spent(t)
			}
			if err := ask(client, signed, call.body); err != nil {
				t.Fatal(err)
			}
		}
		per := float64(m.spent(t).Allocs-before.Allocs) / calls
		t.Logf("%s: %.0f allocations, of %.0f", call.name, per, call.budget)
		if per > call.budget {
			t.Errorf("%s: %.0f allocations a call, want at most %.0f", call.name, per, call.budget)
		}
	}
}
