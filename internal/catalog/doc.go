// Package catalog holds what the world knows about Claude on Amazon Bedrock:
// models, Regions, inference profiles, lifecycle, limits, features and prices,
// as data with sources and dates, and the pure functions over it: Resolve says
// where a call may go, Cost what it costs.
//
// Invariant: no Candidate reaches a Region outside its Wall.
//
// Non-goal: state. Accounts, health, quotas and clocks belong to the caller.
package catalog
