package main

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// bill is what answers cost.
type bill struct {
	billed  catalog.Nanodollars
	would   catalog.Nanodollars // on Amazon Bedrock, where nothing was billed
	listed  bool                // billed is of the price list: who answered does not say
	unknown bool                // a price is not known, and is not in it
}

func (b *bill) add(o bill) {
	b.billed += o.billed
	b.would += o.would
	b.listed = b.listed || o.listed
	b.unknown = b.unknown || o.unknown
}

func (b bill) String() string {
	s := "billed $" + b.billed.USD()
	if b.listed {
		s = "$" + b.billed.USD() + " by the list price"
	}
	if b.would != 0 {
		s += ", on Amazon Bedrock it would have cost $" + b.would.USD()
	}
	if b.unknown {
		s += ", without models whose price is not known"
	}
	return s
}

// An Outcrop's own figures.
const (
	headerCost      = "X-Outcrop-Cost-Usd"
	headerWouldCost = "X-Outcrop-Would-Cost-Usd"
)

// bill is Outcrop's own of the last answer where there is one, else by the list
// price.
func (t *target) bill(model string, u messages.Usage) (b bill) {
	if said := t.heard.says(headerCost); said != "" {
		billed, err := nanodollars(said)
		would, wrong := nanodollars(t.heard.says(headerWouldCost))
		return bill{billed: billed, would: would, unknown: err != nil || wrong != nil}
	}
	r, err := t.catalog.Resolve(model, t.Client.Region(), catalog.Policy{})
	known := err == nil && len(r.Candidates) > 0
	var price catalog.Nanodollars
	if known {
		price = catalog.Cost(u, r.Candidates[0].Price)
	}
	if t.bills() {
		return bill{billed: price, listed: true, unknown: !known}
	}
	return bill{would: price}
}

// cost says what the last answer cost.
func (t *target) cost(model string, u messages.Usage) string {
	b := t.bill(model, u)
	if b.unknown {
		return "the price of " + model + " is not known"
	}
	return b.String()
}
