package access

import (
	"context"
	"regexp"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Logging is the LoggingConfig of bedrock 2023-04-20: where an account's
// invocation log goes in a Region, and what goes with it. A switch that is nil
// was not given.
type Logging struct {
	CloudWatch *CloudWatch `json:"cloudWatchConfig,omitempty"`
	S3         *Bucket     `json:"s3Config,omitempty"`
	Text       *bool       `json:"textDataDeliveryEnabled,omitempty"`
	Image      *bool       `json:"imageDataDeliveryEnabled,omitempty"`
	Embedding  *bool       `json:"embeddingDataDeliveryEnabled,omitempty"`
	Video      *bool       `json:"videoDataDeliveryEnabled,omitempty"`
	Audio      *bool       `json:"audioDataDeliveryEnabled,omitempty"`
}

// CloudWatch is a log group of CloudWatch Logs.
type CloudWatch struct {
	LogGroup string  `json:"logGroupName"`
	RoleARN  string  `json:"roleArn"`
	Large    *Bucket `json:"largeDataDeliveryS3Config,omitempty"`
}

// Bucket is a place for objects, by the name that the operator gave it.
type Bucket struct {
	Name   string `json:"bucketName"`
	Prefix string `json:"keyPrefix,omitempty"`
}

func (l *Logging) clone() *Logging {
	if l == nil {
		return nil
	}
	c := *l
	if l.CloudWatch != nil {
		w := *l.CloudWatch
		if w.Large != nil {
			b := *w.Large
			w.Large = &b
		}
		c.CloudWatch = &w
	}
	if l.S3 != nil {
		b := *l.S3
		c.S3 = &b
	}
	for _, p := range []**bool{&c.Text, &c.Image, &c.Embedding, &c.Video, &c.Audio} {
		if *p != nil {
			v := **p
			*p = &v
		}
	}
	return &c
}

// Buckets are the places that the operator has given names to.
type Buckets interface {
	Has(name string) bool
	// Check writes what AWS writes when a configuration is set, to see whether
	// that can be done.
	Check(ctx context.Context, name, prefix, account string) error
}

// Logging is the configuration in force; nil: none. It is shared: read only.
func (s *Service) Logging(ctx context.Context, sc Scope) (*Logging, error) {
	v, err := s.view(ctx, sc)
	if err != nil {
		return nil, err
	}
	return v.Settings.Logging, nil
}

const rolePattern = `arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+`

var roles = regexp.MustCompile(`\A(?:` + rolePattern + `)\z`)

// SetLogging puts a configuration in force. It may name only the buckets that
// the operator has given places to.
func (s *Service) SetLogging(ctx context.Context, sc Scope, l *Logging) error {
	var f faults
	if l == nil {
		f.required("loggingConfig")
		return f.err()
	}
	if w := l.CloudWatch; w != nil {
		f.length("loggingConfig.cloudWatchConfig.logGroupName", w.LogGroup, 1, 512)
		f.length("loggingConfig.cloudWatchConfig.roleArn", w.RoleARN, 0, 2048)
		f.match("loggingConfig.cloudWatchConfig.roleArn", w.RoleARN, roles, rolePattern)
		f.bucket("loggingConfig.cloudWatchConfig.largeDataDeliveryS3Config", w.Large)
	}
	f.bucket("loggingConfig.s3Config", l.S3)
	if err := f.err(); err != nil {
		return err
	}
	switch {
	case l.CloudWatch != nil:
		return messages.Errorf(messages.InvalidRequest, "Failed to validate permissions for log group: %s, with role: %s. Verify the IAM role permissions are correct.", l.CloudWatch.LogGroup, l.CloudWatch.RoleARN).
			WithHint("this server delivers to buckets (s3Config), not to CloudWatch Logs")
	case l.S3 == nil:
		return messages.Errorf(messages.InvalidRequest, "The logging configuration names no destination. Specify s3Config, cloudWatchConfig or both.")
	}
	denied := messages.Errorf(messages.InvalidRequest, "Failed to validate permissions for bucket: %s. Verify the bucket policy is correct.", l.S3.Name)
	if s.Buckets == nil || !s.Buckets.Has(l.S3.Name) {
		return denied.WithHint("no destination is named %s: outcrop.yaml maps bucket names to places (destinations)", l.S3.Name)
	}
	if err := s.Buckets.Check(ctx, l.S3.Name, l.S3.Prefix, sc.Account); err != nil {
		return denied.WithCause(err).WithHint("nothing can be written to the place that outcrop.yaml gives to %s", l.S3.Name)
	}
	return s.change(ctx, sc, func(*view) error { return s.Store.PutLogging(ctx, sc, l) })
}

// RemoveLogging takes the configuration out of force. There may be none.
func (s *Service) RemoveLogging(ctx context.Context, sc Scope) error {
	return s.change(ctx, sc, func(*view) error { return s.Store.PutLogging(ctx, sc, nil) })
}

func (f *faults) bucket(name string, b *Bucket) {
	if b == nil {
		return
	}
	f.length(name+".bucketName", b.Name, 3, 63)
	f.length(name+".keyPrefix", b.Prefix, 0, 1024)
}
