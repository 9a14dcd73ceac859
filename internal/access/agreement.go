package access

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// BedrockModelId of bedrock 2023-04-20.
const modelIDPattern = `[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([a-z0-9-]{1,63}[.]){0,2}[a-z0-9-]{1,63}([:][a-z0-9-]{1,63}){0,2}(/[a-z0-9]{12}|)`

var modelIDs = regexp.MustCompile(`\A(?:` + modelIDPattern + `)\z`)

// model finds what these operations take: a bare model id, no profile's and no
// ARN, whatever the Region.
func (s *Service) model(id string) (*catalog.Model, error) {
	var f faults
	f.modelID(id)
	if err := f.err(); err != nil {
		return nil, err
	}
	m, ok := s.Catalog.Lookup(id)
	if !ok || id != m.ID && (s.Strict || !slices.Contains(m.Aliases, id)) || s.Strict && m.Lifecycle.Stage(s.Now()) == catalog.Retired {
		return nil, messages.Errorf(messages.InvalidRequest, "The provided model identifier is invalid.").
			WithHint("it takes the id of a model, without a profile's prefix: anthropic.claude-opus-5")
	}
	return m, nil
}

func (f *faults) modelID(id string) {
	if id == "" {
		f.required("modelId")
		return
	}
	f.length("modelId", id, 0, 140)
	f.match("modelId", id, modelIDs, modelIDPattern)
}

// Availability is what stands between an account and a model.
type Availability struct {
	Agreed     bool // to the model's terms
	Authorized bool
	Entitled   bool // AWS sells the model to this account
	InRegion   bool
}

// Availability says how far the account is with a model.
func (s *Service) Availability(ctx context.Context, sc Scope, modelID string) (Availability, error) {
	m, err := s.model(modelID)
	if err != nil {
		return Availability{}, err
	}
	v, err := s.view(ctx, sc)
	if err != nil {
		return Availability{}, err
	}
	_, err = s.Catalog.FoundationModel(m.ID, sc.Region, s.policy())
	return Availability{Agreed: s.subscribed(v, m), Authorized: s.invited(m), Entitled: s.invited(m), InRegion: err == nil}, nil
}

// Agree records that the account takes the offer of that token.
func (s *Service) Agree(ctx context.Context, sc Scope, modelID, token string) error {
	var f faults
	if token == "" {
		f.required("offerToken")
	}
	f.modelID(modelID)
	if err := f.err(); err != nil {
		return err
	}
	m, err := s.model(modelID)
	if err != nil {
		return err
	}
	switch {
	case token != offerToken(sc, m):
		return messages.Errorf(messages.InvalidRequest, "The provided offer token is invalid.").
			WithHint("ListFoundationModelAgreementOffers gives the token of this model, account and Region")
	case !s.invited(m):
		return messages.Errorf(messages.AccessDenied, textNoAccess).WithHint("AWS gives %s to the accounts that it has chosen", m.Name)
	}
	if s.Manual {
		if form, err := s.form(ctx, sc); err != nil {
			return err
		} else if form == nil {
			return messages.Errorf(messages.NotFound, textFillOut).WithHint("outcrop access use-case FILE submits it")
		}
	}
	return s.change(ctx, sc, func(v *view) error {
		if a, said := v.Agreements[m.ID]; said && a.Granted {
			return messages.Errorf(messages.Conflict, "Agreement already exists.")
		}
		return s.Store.PutAgreement(ctx, sc, m.ID, Agreement{true, s.Now().UTC().Truncate(time.Millisecond)})
	})
}

// Withdraw gives the model back. AWS would take it again with the next call;
// here it stays given back until somebody agrees again.
func (s *Service) Withdraw(ctx context.Context, sc Scope, modelID string) error {
	m, err := s.model(modelID)
	if err != nil {
		return err
	}
	return s.change(ctx, sc, func(v *view) error {
		if !s.subscribed(v, m) {
			return messages.Errorf(messages.NotFound, "There is no agreement for the model %s.", modelID)
		}
		return s.Store.PutAgreement(ctx, sc, m.ID, Agreement{false, s.Now().UTC().Truncate(time.Millisecond)})
	})
}
