package activity

import (
	"context"
	"log/slog"
)

// AccessLog writes one line a call: ids, figures and outcome, never content.
type AccessLog struct{ Log *slog.Logger }

func (a AccessLog) Record(r Record) {
	level := slog.LevelInfo
	if r.Status >= 500 || r.Partial {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("id", r.RequestID),
		slog.String("op", r.Operation),
		slog.Int("status", r.Status),
		slog.String("model", r.Ref),
		slog.String("region", r.Region),
		slog.String("key", r.KeyID),
		slog.String("upstream", r.Upstream),
		slog.Duration("took", r.Duration.Round(1e5)),
	}
	if r.FirstFrame > 0 {
		attrs = append(attrs, slog.Duration("first", r.FirstFrame.Round(1e5)))
	}
	if r.Usage.PromptTokens()+r.Usage.OutputTokens > 0 {
		attrs = append(attrs, slog.Int64("in", r.Usage.PromptTokens()), slog.Int64("out", r.Usage.OutputTokens),
			slog.String("billed", r.Billed.USD()), slog.String("would_cost", r.WouldCost.USD()))
	}
	if r.ErrorCode != "" {
		attrs = append(attrs, slog.String("error", r.ErrorCode), slog.String("message", r.Error))
	}
	for _, w := range r.Warnings {
		attrs = append(attrs, slog.String("warning", w))
	}
	a.Log.LogAttrs(context.Background(), level, "call", attrs...)
}
