package access_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// places is an operator's one bucket.
type places struct {
	known   string
	err     error
	checked []string
}

func (p *places) Has(name string) bool { return name == p.known }

func (p *places) Check(_ context.Context, name, prefix, account string) error {
	p.checked = append(p.checked, name+"/"+prefix+"/"+account)
	return p.err
}

func TestLogging(t *testing.T) {
	s := newService(t)
	places := &places{known: "logs"}
	s.Buckets = places
	get := func() *access.Logging {
		t.Helper()
		l, err := s.Logging(t.Context(), here)
		must(t, err)
		return l
	}
	if l := get(); l != nil {
		t.Errorf("%+v", l)
	}
	yes := true
	want := &access.Logging{S3: &access.Bucket{Name: "logs", Prefix: "a/b"}, Text: &yes}
	must(t, s.SetLogging(t.Context(), here, want))
	if got := get(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := strings.Join(places.checked, " "); got != "logs/a/b/"+account {
		t.Errorf("checked %s", got)
	}

	const role = "arn:aws:iam::123456789012:role/logs"
	for _, test := range []struct {
		name  string
		l     *access.Logging
		words string
	}{
		{"nothing", nil, "Value null at 'loggingConfig'"},
		{"no destination", &access.Logging{Text: &yes}, "names no destination"},
		{"a bucket of nobody", &access.Logging{S3: &access.Bucket{Name: "other"}}, "Failed to validate permissions for bucket: other"},
		{"short bucket", &access.Logging{S3: &access.Bucket{Name: "b"}}, "'loggingConfig.s3Config.bucketName'"},
		{"long bucket", &access.Logging{S3: &access.Bucket{Name: strings.Repeat("b", 64)}}, "'loggingConfig.s3Config.bucketName'"},
		{"long prefix", &access.Logging{S3: &access.Bucket{Name: "logs", Prefix: strings.Repeat("p", 1025)}}, "'loggingConfig.s3Config.keyPrefix'"},
		{"CloudWatch", &access.Logging{CloudWatch: &access.CloudWatch{LogGroup: "g", RoleARN: role}}, "Failed to validate permissions for log group: g, with role: " + role},
		{"CloudWatch beside a bucket", &access.Logging{S3: &access.Bucket{Name: "logs"}, CloudWatch: &access.CloudWatch{LogGroup: "g", RoleARN: role}}, "Failed to validate permissions for log group"},
		{"role", &access.Logging{CloudWatch: &access.CloudWatch{LogGroup: "g", RoleARN: "r"}}, "'loggingConfig.cloudWatchConfig.roleArn'"},
		{"log group", &access.Logging{CloudWatch: &access.CloudWatch{RoleARN: role}}, "'loggingConfig.cloudWatchConfig.logGroupName'"},
		{"large", &access.Logging{CloudWatch: &access.CloudWatch{LogGroup: "g", RoleARN: role, Large: &access.Bucket{}}}, "'loggingConfig.cloudWatchConfig.largeDataDeliveryS3Config.bucketName'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, s.SetLogging(t.Context(), here, test.l), messages.InvalidRequest, test.words)
			if got := get(); !reflect.DeepEqual(got, want) {
				t.Errorf("what was refused is in force: %+v", got)
			}
		})
	}
	must(t, s.RemoveLogging(t.Context(), here))
	must(t, s.RemoveLogging(t.Context(), here))
	if l := get(); l != nil {
		t.Errorf("%+v", l)
	}
	places.err = errDisk
	err := s.SetLogging(t.Context(), here, want)
	refused(t, err, messages.InvalidRequest, "Failed to validate permissions for bucket: logs")
	if !errors.Is(err, errDisk) || strings.Contains(messages.AsError(err).Message, errDisk.Error()) {
		t.Errorf("the cause is for the log alone: %v", err)
	}
	s.Buckets = nil
	refused(t, s.SetLogging(t.Context(), here, want), messages.InvalidRequest, "Failed to validate permissions for bucket: logs")
}
