package bedrock_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing runs on when the tests are over: no reader, no timer, no refresh.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
