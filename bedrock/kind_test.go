package bedrock

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

func TestEachKindHasASentinel(t *testing.T) {
	for _, k := range messages.Kinds() {
		if sentinels[k] == nil {
			t.Errorf("kind %d has none", k)
		}
	}
	if len(sentinels) != len(messages.Kinds()) {
		t.Errorf("%d rows for %d kinds", len(sentinels), len(messages.Kinds()))
	}
}
