package access

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Texts of Amazon Bedrock; spec: service.md 2.2. The one of data retention is
// what bedrock-runtime was seen to answer for Claude Fable 5
// (github.com/pydantic/pydantic-ai/issues/8170, 2026-09-07).
const (
	textNoAccess = "You don't have access to the model with the specified model ID."
	textNoForm   = "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form before using the model. If you have already filled out the form, try again in 15 minutes."
	textIdle     = "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in the last 15 days. Please upgrade to an active model on Amazon Bedrock"
	textRetained = "data retention mode '%s' is not available for this model"
)

// idleAfter is how long AWS keeps a legacy model for an account that does not
// use it; spec: service.md 7.
const idleAfter = 15 * 24 * time.Hour

// Allowed says whether an account may call a model in a Region through that API.
// The model's end of life is the catalog's to say.
func (s *Service) Allowed(ctx context.Context, account, region string, m *catalog.Model, api catalog.API) error {
	sc := Scope{account, region}
	v, err := s.view(ctx, sc)
	if err != nil {
		return err
	}
	if s.Manual && api != catalog.Mantle { // bedrock-mantle asks for no form
		if form, err := s.form(ctx, sc); err != nil {
			return err
		} else if form == nil {
			return messages.Errorf(messages.NotFound, textNoForm).WithHint("outcrop access use-case FILE submits it")
		}
	}
	if !s.subscribed(v, m) {
		return messages.Errorf(messages.AccessDenied, textNoAccess).WithHint("outcrop access request %s --region %s asks for it", m.ID, region)
	}
	if s.Strict && m.Lifecycle.Stage(s.Now()) == catalog.Legacy && s.LastUse != nil {
		last, err := s.LastUse(ctx, sc, m.ID)
		if err != nil {
			return err
		}
		if s.Now().Sub(last) > idleAfter {
			return messages.Errorf(messages.NotFound, textIdle)
		}
	}
	if mode, ok := s.retains(v, m); !ok {
		return messages.Errorf(messages.ModelRejected, textRetained, mode).
			WithHint("%s needs the data retention mode %s or higher: aws bedrock put-account-data-retention --mode %[2]s", m.Name, m.RetentionMin)
	}
	return nil
}

// subscribed says whether the account has the model.
func (s *Service) subscribed(v *view, m *catalog.Model) bool {
	if !s.invited(m) {
		return false
	}
	a, said := v.Agreements[m.ID]
	return said && a.Granted || !said && !s.Manual
}

// invited: AWS gives some models to accounts that it has chosen. This server
// chooses nobody, and refuses them where AWS's rules hold.
func (s *Service) invited(m *catalog.Model) bool { return !m.Gated || !s.Strict }
