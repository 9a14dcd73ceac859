package access

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Offer is the terms of a model, with what it costs in the Region.
type Offer struct {
	ID, Token string
	LegalURL  string
	Refunds   string
	RateCard  []Rate
}

// Rate is one price, in dollars a million tokens.
type Rate struct{ Dimension, Price, Description, Unit string }

const (
	termsURL   = "https://aws.amazon.com/legal/bedrock/third-party-models/"
	noRefunds  = "Outcrop sells nothing, so there is nothing to refund. What an AWS account pays is between it and AWS."
	unitOfCard = "Units"
)

// Offers are the ways to agree to a model: one, the public one.
func (s *Service) Offers(_ context.Context, sc Scope, modelID, offerType string) ([]Offer, error) {
	m, err := s.model(modelID)
	if err != nil {
		return nil, err
	}
	if offerType != "" {
		var f faults
		f.enum("offerType", offerType, []string{"ALL", "PUBLIC"})
		if err := f.err(); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256([]byte("offer\x00" + m.ID))
	return []Offer{{
		ID: "offer-" + hex.EncodeToString(sum[:])[:13], Token: offerToken(sc, m), LegalURL: termsURL, Refunds: noRefunds,
		RateCard: s.rateCard(sc.Region, m),
	}}, nil
}

// offerToken ties an offer to who asked for it. It is no secret: who can see it
// can ask for it.
func offerToken(sc Scope, m *catalog.Model) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"offer token", sc.Account, sc.Region, m.ID}, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// rateCard names its dimensions as AWS's cards do since Claude Opus 4.7, without
// the prefix of the Region's bill: all rates are this Region's. A price is of a
// million tokens.
func (s *Service) rateCard(region string, m *catalog.Model) []Rate {
	var card []Rate
	for _, e := range []catalog.Endpoint{catalog.InRegion, catalog.Global} {
		if !offered(m, region, e) {
			continue
		}
		p := m.PriceAt(s.Now(), e)
		card = append(card, rates(p.Rates, e, "", "standard")...)
		if p.LongOver > 0 {
			card = append(card, rates(p.Long, e, "_long_ctx", "standard")...)
		}
		if b, ok := p.Batch(); ok {
			card = append(card, rates(catalog.Rates{Input: b.Input, Output: b.Output}, e, "", "batch")...) // nothing is cached in a batch
		}
	}
	return card
}

// offered says whether some id of the model brings that kind of endpoint to the
// Region.
func offered(m *catalog.Model, region string, e catalog.Endpoint) bool {
	local := slices.Contains(m.InRegion, region)
	global := false
	for _, p := range m.Profiles {
		if to, ok := p.Destinations(region); ok {
			local, global = local || !to.Anywhere(), global || to.Anywhere()
		}
	}
	if e == catalog.Global {
		return global
	}
	return local
}

func rates(r catalog.Rates, e catalog.Endpoint, context, mode string) []Rate {
	scope, where := "", "Regional"
	if e == catalog.Global {
		scope, where = "_global", "Global"
	}
	var out []Rate
	for _, row := range []struct {
		dimension, words string
		price            catalog.Nanodollars
	}{
		{"input_tokens", "Input", r.Input},
		{"cache_write_tokens_5m", "Cache Write Input", r.CacheWrite5m},
		{"cache_write_tokens_1h", "1h Cache Write Input", r.CacheWrite1h},
		{"cache_read_tokens", "Cache Read Input", r.CacheRead},
		{"output_tokens", "Output", r.Output},
	} {
		if row.price == 0 {
			continue
		}
		words := []string{"Million", row.words, "Tokens", where}
		if context != "" {
			words = append(words, "Long Context")
		}
		if mode == "batch" {
			words = append(words, "Batch")
		}
		price := strings.TrimSuffix(strings.TrimRight(row.price.USD(), "0"), ".")
		out = append(out, Rate{row.dimension + context + scope + "_" + mode, price, strings.Join(words, " "), unitOfCard})
	}
	return out
}
