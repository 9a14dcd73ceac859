package httpapi_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/routing"
	upstream "github.com/outcrop-dev/outcrop/internal/upstream/messages"
)

// TestRing: two servers that are each other's upstream. A call goes round once
// and comes back refused, on every surface.
func TestRing(t *testing.T) {
	var setups [2]*setup
	var servers [2]*httptest.Server
	for i := range servers {
		servers[i] = httptest.NewServer(nil)
		defer servers[i].Close()
	}
	for i := range servers {
		up, err := upstream.New(upstream.Options{Name: "the other", URL: servers[1-i].URL, APIKey: testAPIKey, Hop: "server-" + string(rune('a'+i)),
			Capabilities: gateway.Capabilities{Place: routing.Here(), Documents: true}})
		if err != nil {
			t.Fatal(err)
		}
		setups[i] = newSetupOver(t, up)
		setups[i].Hop = "server-" + string(rune('a'+i))
		servers[i].Config.Handler = setups[i].Server
	}
	for _, target := range [][2]string{{invokePath, invokeBody}, {invokePath + "-with-response-stream", invokeBody}, {messagePath, streams[1].body}} {
		resp, raw := setups[0].send(t, servers[0].URL, "POST", target[0], target[1])
		if resp.StatusCode != 508 || !strings.Contains(string(raw), "its own upstream") {
			t.Errorf("%s: %d %s", target[0], resp.StatusCode, raw)
		}
	}
	for i, s := range setups {
		servers[i].Close() // waits for the records
		// The first sees each call twice: as it comes, and as it comes round.
		if n, want := len(s.Records.Records()), []int{6, 3}[i]; n != want {
			t.Errorf("server %d: %d records, want %d", i, n, want)
		}
	}
}
