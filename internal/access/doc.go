// Package access is what an account may use in a Region, and what it has made
// and set there: agreements to models, the use-case form, the data-retention
// mode, application inference profiles, and where its invocation log goes.
//
// Invariant: a refusal is a *messages.Error in AWS's own words, and what cannot
// be looked up is refused.
//
// Non-goal: IAM. Who of an account may do what is not decided here, except that
// Administrator may keep changes to some callers.
package access
