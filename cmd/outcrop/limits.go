package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/limit"
)

// limitOptions are the limits of each key where it has none of its own.
type limitOptions struct {
	LimitRequestsPerMinute int64     `placeholder:"N" help:"Requests a minute of each key that has no such limit of its own, which outcrop limit sets. Default: no limit."`
	LimitTokensPerMinute   int64     `placeholder:"N" help:"Tokens a minute of each such key, counted as AWS does: the prompt and max_tokens when a call comes in, what it used when it is over. Default: no limit."`
	LimitConcurrentStreams int64     `placeholder:"N" help:"Calls at once of each such key, streamed or not. Default: no limit."`
	LimitUSDPerDay         limit.USD `name:"limit-usd-per-day" placeholder:"USD" help:"Money that each such key may spend in a day of UTC, of what is really billed: a hard stop. Default: no limit."`
	LimitUSDPerMonth       limit.USD `name:"limit-usd-per-month" placeholder:"USD" help:"Money that each such key may spend in a month, in the same way. Default: no limit."`
}

func (o *limitOptions) limits() limit.Limits {
	return limit.Limits{RequestsPerMinute: o.LimitRequestsPerMinute, TokensPerMinute: o.LimitTokensPerMinute, Streams: o.LimitConcurrentStreams, Day: o.LimitUSDPerDay, Month: o.LimitUSDPerMonth}
}

func (o *limitOptions) Validate() error {
	if err := o.limits().Check(); err != nil {
		return misuse("%v", err)
	}
	return nil
}

// openLimits makes the counters, with what each key has spent today and this
// month as the activity log has it.
func (s *server) openLimits(o *limitOptions, log *slog.Logger) (*limit.Counters, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	counters := &limit.Counters{Now: time.Now}
	keys, err := s.Data.List()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		switch money := k.Limits.Or(o.limits()).Money(); {
		case money && s.archive == nil:
			log.Warn("limits of money: without an activity log a restart forgets what was spent")
			return counters, nil
		case money && k.Activity == activity.None:
			log.Warn("limits of money: a restart forgets what a key has spent of whose calls nothing is kept", "key", k.ID)
		}
	}
	if s.archive == nil {
		return counters, nil
	}
	return counters, restore(counters, s.archive, time.Now())
}

func restore(counters *limit.Counters, archive *activity.Archive, now time.Time) error {
	now = now.UTC()
	spent := func(since time.Time) (map[string]catalog.Nanodollars, error) {
		lines, err := archive.Usage(context.Background(), activity.UsageQuery{Since: since, By: []activity.Dimension{activity.ByKey}})
		by := map[string]catalog.Nanodollars{}
		for _, l := range lines {
			by[l.By[0]] = l.Billed
		}
		return by, err
	}
	day, err := spent(time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	month, err := spent(time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	for key, billed := range month {
		counters.Spent(key, now, day[key], billed)
	}
	return nil
}
