package main

import (
	"net/http"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// What an Outcrop says of its answer, in the one form, and what many come to.
func TestBill(t *testing.T) {
	var sum bill
	for _, test := range []struct{ cost, would, want, sum string }{
		{"0", "0.0003", "billed $0.00, on Amazon Bedrock it would have cost $0.0003", "billed $0.00, on Amazon Bedrock it would have cost $0.0003"},
		{"0", "0", "billed $0.00", "billed $0.00, on Amazon Bedrock it would have cost $0.0003"},
		{"0.5", "", "billed $0.50", "billed $0.50, on Amazon Bedrock it would have cost $0.0003"},
		{"12.000000001", "", "billed $12.000000001", "billed $12.500000001, on Amazon Bedrock it would have cost $0.0003"},
		{"much", "", "the price of m is not known", "billed $12.500000001, on Amazon Bedrock it would have cost $0.0003, without models whose price is not known"},
	} {
		heard := &listener{}
		heard.last.Store(&http.Response{Header: http.Header{headerCost: {test.cost}}, Trailer: http.Header{headerWouldCost: {test.would}}})
		here := &target{heard: heard}
		if got := here.cost("m", messages.Usage{}); got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.cost, test.would, got, test.want)
		}
		sum.add(here.bill("m", messages.Usage{}))
		if got := sum.String(); got != test.sum {
			t.Errorf("with %q, %q: %s, want %s", test.cost, test.would, got, test.sum)
		}
	}
	listed := bill{billed: catalog.Nanodollars(2_500_000), listed: true}
	if got := listed.String(); got != "$0.0025 by the list price" {
		t.Error(got)
	}
}
