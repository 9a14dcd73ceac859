package httpapi

import (
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// What a call costs is a header of a whole answer, and a trailer of a stream,
// where it is known at the end alone. It is the record's amount.
const (
	headerCost      = "X-Outcrop-Cost-Usd"
	headerWouldCost = "X-Outcrop-Would-Cost-Usd" // where nothing is billed
)

func (x *exchange) setCost(m *gateway.Meter, bills bool) {
	billed, would := m.Cost()
	x.set(headerCost, dollars(billed))
	if !bills {
		x.set(headerWouldCost, dollars(would))
	}
}

func dollars(n catalog.Nanodollars) string {
	if n == 0 {
		return "0"
	}
	return n.USD()
}

// promiseCost declares the trailer; the status is not written yet.
func (x *exchange) promiseCost(meta gateway.Meta, m *gateway.Meter) {
	x.promised, x.bills = m, meta.Bills
	x.set("Trailer", headerCost)
	if !meta.Bills {
		x.w.Header().Add("Trailer", headerWouldCost)
	}
}

// sayCost keeps the promise, of a stream that broke off too: what was used
// costs.
func (x *exchange) sayCost() {
	if x.promised != nil {
		x.setCost(x.promised, x.bills)
	}
}
