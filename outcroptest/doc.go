// Package outcroptest serves Claude on Amazon Bedrock inside a test: a real
// Outcrop, with its routes, its signature check and its event streams, that
// answers from a scenario and calls no model.
//
//	func TestGreeting(t *testing.T) {
//		s := outcroptest.NewServer(t, outcroptest.Answers(outcroptest.Say("Hello!")))
//		got := greet(s.Client()) // the code under test, with any client of Bedrock
//		...
//		s.AssertCalls(t, 1)
//		if r := s.LastRequest(); r.System() != "Be kind." || r.MaxTokens() != 256 { ... }
//	}
//
// A [Scenario] is a list of rules; the first that matches a call answers it: with
// text, tool calls, thinking, citations, usage, after a delay, with an exception
// before or within the stream, with a stream that is cut, held or garbled. A call
// that no rule answers fails the test, and says what each rule asked for. The same
// scenario as YAML ([LoadScenario]) is what "outcrop serve --upstream
// scripted:FILE" serves to tests in other languages, and what "outcrop record"
// has captured answers through [Replay].
//
// Invariant: a request that is in [Server.Requests] was there before its answer.
//
// Non-goal: a model. What comes back is what the scenario says.
package outcroptest
