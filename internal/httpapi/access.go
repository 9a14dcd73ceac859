package httpapi

import (
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
)

// manager answers an operation on what an account has and has made.
type manager func(x *exchange, sc access.Scope, body []byte) error

// manage finds the manager of an operation, and whether it changes anything.
func manage(op *bedrockapi.Operation) (m manager, changes bool) {
	switch op {
	case bedrockapi.GetFoundationModelAvailability:
		return (*exchange).getAvailability, false
	case bedrockapi.ListFoundationModelAgreementOffers:
		return (*exchange).listOffers, false
	case bedrockapi.CreateFoundationModelAgreement:
		return (*exchange).createAgreement, true
	case bedrockapi.DeleteFoundationModelAgreement:
		return (*exchange).deleteAgreement, true
	case bedrockapi.GetUseCaseForModelAccess:
		return (*exchange).getUseCase, false
	case bedrockapi.PutUseCaseForModelAccess:
		return (*exchange).putUseCase, true
	case bedrockapi.GetAccountDataRetention:
		return (*exchange).getRetention, false
	case bedrockapi.PutAccountDataRetention:
		return (*exchange).putRetention, true
	case bedrockapi.GetModelInvocationLoggingConfiguration:
		return (*exchange).getLogging, false
	case bedrockapi.PutModelInvocationLoggingConfiguration:
		return (*exchange).putLogging, true
	case bedrockapi.DeleteModelInvocationLoggingConfiguration:
		return (*exchange).deleteLogging, true
	case bedrockapi.CreateInferenceProfile:
		return (*exchange).createProfile, true
	case bedrockapi.DeleteInferenceProfile:
		return (*exchange).deleteProfile, true
	case bedrockapi.ListTagsForResource:
		return (*exchange).listTags, false
	case bedrockapi.TagResource:
		return (*exchange).tag, true
	case bedrockapi.UntagResource:
		return (*exchange).untag, true
	default:
		return nil, false
	}
}

// managed serves an operation that has a manager.
func (x *exchange) managed(m manager, changes bool) error {
	return x.control(func(x *exchange, caller identity.Caller, body []byte) error {
		if changes {
			if err := x.Access.Permit(caller, x.op.Name); err != nil {
				return err
			}
		}
		return m(x, x.scope(caller), body)
	})
}

func (x *exchange) scope(c identity.Caller) access.Scope {
	return access.Scope{Account: c.Account, Region: x.region(c)}
}

// about names for the record what the body is about.
func (x *exchange) about(ref string) { x.label = ref[:min(len(ref), 2048)] }

// done answers an operation whose output has no members.
func (x *exchange) done(err error) error {
	if err != nil {
		return err
	}
	return x.replyJSON(struct{}{})
}

func word(yes bool, is, isNot string) string {
	if yes {
		return is
	}
	return isNot
}

func (x *exchange) getAvailability(sc access.Scope, _ []byte) error {
	a, err := x.Access.Availability(x.r.Context(), sc, x.label)
	if err != nil {
		return err
	}
	const yes, no = "AVAILABLE", "NOT_AVAILABLE"
	type agreement struct {
		Status string `json:"status"`
	}
	return x.replyJSON(struct {
		ModelID     string    `json:"modelId"`
		Agreement   agreement `json:"agreementAvailability"`
		Authorized  string    `json:"authorizationStatus"`
		Entitlement string    `json:"entitlementAvailability"`
		Region      string    `json:"regionAvailability"`
	}{
		x.label, agreement{word(a.Agreed, yes, no)}, word(a.Authorized, "AUTHORIZED", "NOT_AUTHORIZED"),
		word(a.Entitled, yes, no), word(a.InRegion, yes, no),
	})
}

// Wire shapes of an offer.
type (
	offer struct {
		ID    string `json:"offerId"`
		Token string `json:"offerToken"`
		Terms terms  `json:"termDetails"`
	}
	terms struct {
		Pricing struct {
			RateCard []rate `json:"rateCard"`
		} `json:"usageBasedPricingTerm"`
		Legal struct {
			URL string `json:"url"`
		} `json:"legalTerm"`
		Support struct {
			Refunds string `json:"refundPolicyDescription"`
		} `json:"supportTerm"`
	}
	rate struct {
		Dimension   string `json:"dimension"`
		Price       string `json:"price"`
		Description string `json:"description"`
		Unit        string `json:"unit"`
	}
)

func (x *exchange) listOffers(sc access.Scope, _ []byte) error {
	offers, err := x.Access.Offers(x.r.Context(), sc, x.label, x.r.URL.Query().Get("offerType"))
	if err != nil {
		return err
	}
	out := struct {
		ModelID string  `json:"modelId"`
		Offers  []offer `json:"offers"`
	}{x.label, []offer{}}
	for _, o := range offers {
		w := offer{ID: o.ID, Token: o.Token}
		w.Terms.Legal.URL, w.Terms.Support.Refunds, w.Terms.Pricing.RateCard = o.LegalURL, o.Refunds, []rate{}
		for _, r := range o.RateCard {
			w.Terms.Pricing.RateCard = append(w.Terms.Pricing.RateCard, rate(r))
		}
		out.Offers = append(out.Offers, w)
	}
	return x.replyJSON(out)
}

func (x *exchange) createAgreement(sc access.Scope, body []byte) error {
	var in struct {
		OfferToken string `json:"offerToken"`
		ModelID    string `json:"modelId"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	x.about(in.ModelID)
	if err := x.Access.Agree(x.r.Context(), sc, in.ModelID, in.OfferToken); err != nil {
		return err
	}
	return x.replyJSON(struct {
		ModelID string `json:"modelId"`
	}{in.ModelID})
}

func (x *exchange) deleteAgreement(sc access.Scope, body []byte) error {
	var in struct {
		ModelID string `json:"modelId"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	x.about(in.ModelID)
	return x.done(x.Access.Withdraw(x.r.Context(), sc, in.ModelID))
}

// useCaseForm is base64 on the wire.
type useCaseForm struct {
	FormData []byte `json:"formData"`
}

func (x *exchange) getUseCase(sc access.Scope, _ []byte) error {
	form, err := x.Access.UseCase(x.r.Context(), sc)
	if err != nil {
		return err
	}
	return x.replyJSON(useCaseForm{form})
}

func (x *exchange) putUseCase(sc access.Scope, body []byte) error {
	var in useCaseForm
	if err := decode(body, &in); err != nil {
		return err
	}
	return x.done(x.Access.SubmitUseCase(x.r.Context(), sc, in.FormData))
}

// retention is the output of both operations; a mode that was never set has no
// time.
func (x *exchange) retention(r access.Retention) error {
	return x.replyJSON(struct {
		Mode      string     `json:"mode"`
		UpdatedAt *time.Time `json:"updatedAt,omitempty"`
	}{r.Mode, timeOf(r.At)})
}

func (x *exchange) getRetention(sc access.Scope, _ []byte) error {
	r, err := x.Access.Retention(x.r.Context(), sc)
	if err != nil {
		return err
	}
	return x.retention(r)
}

func (x *exchange) putRetention(sc access.Scope, body []byte) error {
	var in struct {
		Mode string `json:"mode"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	r, err := x.Access.SetRetention(x.r.Context(), sc, in.Mode)
	if err != nil {
		return err
	}
	return x.retention(r)
}

// loggingConfig is the input of the one operation and the output of the other.
type loggingConfig struct {
	Config *access.Logging `json:"loggingConfig,omitempty"`
}

func (x *exchange) getLogging(sc access.Scope, _ []byte) error {
	l, err := x.Access.Logging(x.r.Context(), sc)
	if err != nil {
		return err
	}
	return x.replyJSON(loggingConfig{l})
}

func (x *exchange) putLogging(sc access.Scope, body []byte) error {
	var in loggingConfig
	if err := decode(body, &in); err != nil {
		return err
	}
	return x.done(x.Access.SetLogging(x.r.Context(), sc, in.Config))
}

func (x *exchange) deleteLogging(sc access.Scope, _ []byte) error {
	return x.done(x.Access.RemoveLogging(x.r.Context(), sc))
}
