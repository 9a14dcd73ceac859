package access

import (
	"context"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// Data-retention modes. The first four allow ever more; spec: service.md 7.1.
const (
	RetainNothing = "none"
	RetainDefault = "default"
	RetainReview  = "aws_review"
	RetainShare   = "provider_data_share"
	RetainInherit = "inherit" // no opinion here
)

var (
	retentionOrder = []string{RetainNothing, RetainDefault, RetainReview, RetainShare}
	retentionModes = append(slices.Clone(retentionOrder), RetainInherit)
)

// Retention is the account's mode in the Region; a zero time: it was never set.
func (s *Service) Retention(ctx context.Context, sc Scope) (Retention, error) {
	v, err := s.view(ctx, sc)
	if err != nil {
		return Retention{}, err
	}
	if v.Settings.Retention == nil {
		return Retention{Mode: RetainInherit}, nil
	}
	return *v.Settings.Retention, nil
}

// SetRetention sets it.
func (s *Service) SetRetention(ctx context.Context, sc Scope, mode string) (Retention, error) {
	var f faults
	if mode == "" {
		f.required("mode")
	} else {
		f.enum("mode", mode, retentionModes)
	}
	if err := f.err(); err != nil {
		return Retention{}, err
	}
	r := Retention{mode, s.Now().UTC().Truncate(time.Millisecond)}
	return r, s.change(ctx, sc, func(*view) error { return s.Store.PutRetention(ctx, sc, r) })
}

// retains says whether the mode in force allows what the model asks for, and
// which one it is. A mode that nobody chose is a refusal where AWS's rules hold;
// elsewhere nothing is retained by anyone unless the upstream says otherwise.
func (s *Service) retains(v *view, m *catalog.Model) (mode string, ok bool) {
	if m.RetentionMin == "" {
		return "", true
	}
	mode = RetainInherit
	if v.Settings.Retention != nil {
		mode = v.Settings.Retention.Mode
	}
	if mode == RetainInherit {
		if !s.Strict && !s.Manual {
			return mode, true
		}
		mode = RetainDefault
	}
	return mode, slices.Index(retentionOrder, mode) >= slices.Index(retentionOrder, m.RetentionMin)
}
