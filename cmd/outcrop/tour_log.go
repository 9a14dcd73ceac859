package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/statement"
)

// tourBucket is a folder beside the tour's data folder.
const tourBucket = "outcrop-tour"

// keptLog is the activity log of the tour's own server.
type keptLog struct {
	archive *activity.Archive
	days    int    // that calls are kept
	folder  string // of the activity log
	bucket  string // folder that tourBucket stands for
	flush   func(context.Context) error
}

// meetLog finds a call in the log, as it was said, and in AWS's form where a
// logging configuration has asked for it.
func meetLog(ctx context.Context, v *visit) (string, error) {
	if v.log == nil {
		var now struct{ LoggingConfig any }
		if err := v.get(ctx, v.region, "/logging/modelinvocations", &now); err != nil {
			return "", err
		}
		if !v.own {
			return "", skip("the configuration API answers; the log itself is on that server's machine: outcrop logs, there")
		}
		return "", skip("the configuration API answers; this server keeps no calls (activity_off)")
	}
	if v.log.days < 30 {
		return "", fmt.Errorf("calls are kept for %d days, and the page recommends 30 at least", v.log.days)
	}
	config := map[string]any{"loggingConfig": map[string]any{"s3Config": map[string]any{"bucketName": tourBucket, "keyPrefix": "claude"}, "textDataDeliveryEnabled": true}}
	if r, err := v.sendJSON(ctx, http.MethodPut, v.region, "/logging/modelinvocations", config); err != nil || r.status != http.StatusOK {
		return "", fmt.Errorf("PutModelInvocationLoggingConfiguration: %s", refusalOr(r, err))
	}
	r, err := v.invoke(ctx, v.region, pageGlobal, nil)
	if err != nil || r.status != http.StatusOK {
		return "", fmt.Errorf("InvokeModel: %s", refusalOr(r, err))
	}
	id := r.header.Get("X-Outcrop-Request-Id")
	x, err := v.log.archive.Get(ctx, id)
	if err != nil {
		return "", fmt.Errorf("the call %s in the log: %w", id, err)
	}
	if !strings.Contains(string(x.Input), "Hello, world") || len(x.Events) == 0 || x.Record.Status != http.StatusOK {
		return "", fmt.Errorf("the call %s is in the log without what was said", id)
	}
	if info, err := os.Stat(v.log.folder); err != nil || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("the log is for others to read: %v, %v", info, err)
	}
	if err := v.log.flush(ctx); err != nil {
		return "", fmt.Errorf("delivery: %w", err)
	}
	s := &statement.Statement{Catalog: v.catalog}
	logs, err := statement.Read(os.DirFS(v.log.bucket), nil, s.There)
	if err != nil {
		return "", err
	}
	s.Here(&x.Record)
	if rep := s.Report(); rep.Matched != 1 || !rep.Same() || len(logs.Bad) > 0 {
		return "", fmt.Errorf("what was delivered is not what was recorded: %+v %v", rep, errors.Join(logs.Bad...))
	}
	return fmt.Sprintf("the call is kept for %d days, here alone, readable for you alone; asked for, it is delivered in AWS's form and layout, and says the same", v.log.days), nil
}

func refusalOr(r *reply, err error) string {
	if err != nil {
		return err.Error()
	}
	return r.refusal()
}

// skip is the error of a row that cannot be shown where the tour is: why.
type skip string

func (s skip) Error() string { return string(s) }
