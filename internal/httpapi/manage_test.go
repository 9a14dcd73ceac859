package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// controlPlane is AWS's own client of a front door with an unstopped clock.
func controlPlane(t *testing.T, change func(*setup)) *bedrock.Client {
	t.Helper()
	s := newSetup(t, scripted.Scenario{})
	s.Clock = time.Now()
	if change != nil {
		change(s)
	}
	server := httptest.NewServer(s.Server)
	t.Cleanup(server.Close)
	return bedrock.New(bedrock.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, ""),
	})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refusedAs holds an error to AWS's own type for it.
func refusedAs[E error](t *testing.T, err error, words string) {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok || !strings.Contains(e.Error(), words) {
		t.Errorf("%v, want %T %s", err, *new(E), words)
	}
}

const someForm = `{"companyName":"Example","companyWebsite":"https://example.com","intendedUsers":"1","industryOption":"Other","useCases":"Reading rocks"}`

// The page's "subscribe", step by step, through AWS's own client: its types and
// its deserializers are the oracle of shapes.
func TestModelAccessWithAWSClient(t *testing.T) {
	ctx := t.Context()
	c := controlPlane(t, func(s *setup) { s.Access.Manual = true })
	id := aws.String("anthropic.claude-opus-4-6-v1")
	status := func() string {
		t.Helper()
		a := must(c.GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: id}))(t)
		return strings.Join([]string{string(a.AgreementAvailability.Status), string(a.AuthorizationStatus), string(a.EntitlementAvailability), string(a.RegionAvailability)}, " ")
	}
	if got := status(); got != "NOT_AVAILABLE AUTHORIZED AVAILABLE AVAILABLE" {
		t.Error(got)
	}
	offers := must(c.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: id, OfferType: types.OfferTypeAll}))(t)
	if aws.ToString(offers.ModelId) != *id || len(offers.Offers) != 1 {
		t.Fatalf("%+v", offers)
	}
	o := offers.Offers[0]
	if !strings.HasPrefix(aws.ToString(o.OfferId), "offer-") || len(o.TermDetails.UsageBasedPricingTerm.RateCard) == 0 || aws.ToString(o.TermDetails.LegalTerm.Url) == "" || aws.ToString(o.TermDetails.SupportTerm.RefundPolicyDescription) == "" {
		t.Errorf("%+v", o)
	}
	agree := &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: o.OfferToken}
	_, err := c.CreateFoundationModelAgreement(ctx, agree)
	refusedAs[*types.ResourceNotFoundException](t, err, "You have not filled out the request form")
	_, err = c.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{})
	refusedAs[*types.ResourceNotFoundException](t, err, "You have not filled out the request form")
	must(c.PutUseCaseForModelAccess(ctx, &bedrock.PutUseCaseForModelAccessInput{FormData: []byte(someForm)}))(t)
	if form := must(c.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{}))(t); string(form.FormData) != someForm {
		t.Errorf("%s", form.FormData)
	}
	if a := must(c.CreateFoundationModelAgreement(ctx, agree))(t); aws.ToString(a.ModelId) != *id {
		t.Errorf("%+v", a)
	}
	if got := status(); got != "AVAILABLE AUTHORIZED AVAILABLE AVAILABLE" {
		t.Error(got)
	}
	_, err = c.CreateFoundationModelAgreement(ctx, agree)
	refusedAs[*types.ConflictException](t, err, "Agreement already exists.")
	must(c.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: id}))(t)
	if got := status(); !strings.HasPrefix(got, "NOT_AVAILABLE") {
		t.Error(got)
	}
	_, err = c.GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: aws.String("anthropic.claude-opus-99")})
	refusedAs[*types.ValidationException](t, err, "The provided model identifier is invalid.")
}

func TestProfilesWithAWSClient(t *testing.T) {
	ctx := t.Context()
	c := controlPlane(t, nil)
	source := "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-opus-5"
	create := func(name, token string) string {
		t.Helper()
		out := must(c.CreateInferenceProfile(ctx, &bedrock.CreateInferenceProfileInput{
			InferenceProfileName: aws.String(name), Description: aws.String("Costs of " + name), ClientRequestToken: aws.String(token),
			ModelSource: &types.InferenceProfileModelSourceMemberCopyFrom{Value: source},
			Tags:        []types.Tag{{Key: aws.String("team"), Value: aws.String(name)}},
		}))(t)
		if out.Status != types.InferenceProfileStatusActive {
			t.Errorf("%+v", out)
		}
		return aws.ToString(out.InferenceProfileArn)
	}
	arn := create("team 1", "one")
	if create("other", "one") != arn {
		t.Error("one token made two profiles")
	}
	for _, name := range []string{"team 2", "team 3"} {
		create(name, strings.ReplaceAll(name, " ", ""))
	}
	got := must(c.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: &arn}))(t)
	if aws.ToString(got.InferenceProfileArn) != arn || aws.ToString(got.InferenceProfileName) != "team 1" || aws.ToString(got.Description) != "Costs of team 1" || got.Type != types.InferenceProfileTypeApplication ||
		got.Status != types.InferenceProfileStatusActive || len(got.Models) != 3 || got.CreatedAt == nil || !strings.HasSuffix(arn, "/"+aws.ToString(got.InferenceProfileId)) {
		t.Errorf("%+v", got)
	}
	names := func(kind types.InferenceProfileType) string {
		t.Helper()
		var all []string
		pages := bedrock.NewListInferenceProfilesPaginator(c, &bedrock.ListInferenceProfilesInput{TypeEquals: kind, MaxResults: aws.Int32(2)})
		for pages.HasMorePages() {
			for _, p := range must(pages.NextPage(ctx))(t).InferenceProfileSummaries {
				if p.Type == types.InferenceProfileTypeApplication {
					all = append(all, aws.ToString(p.InferenceProfileName))
				} else if kind != "" && p.Type != kind {
					t.Errorf("%+v", p)
				}
			}
		}
		return strings.Join(all, ", ")
	}
	if got := names(types.InferenceProfileTypeApplication); len(got) != len("team 1, team 2, team 3") {
		t.Error(got)
	}
	if got := names(""); strings.Count(got, "team") != 3 {
		t.Error(got)
	}
	if got := names(types.InferenceProfileTypeSystemDefined); got != "" {
		t.Error(got)
	}

	must(c.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{{Key: aws.String("env"), Value: aws.String("test")}}}))(t)
	must(c.UntagResource(ctx, &bedrock.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"team"}}))(t)
	tags := must(c.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: &arn}))(t)
	if len(tags.Tags) != 1 || aws.ToString(tags.Tags[0].Key) != "env" || aws.ToString(tags.Tags[0].Value) != "test" {
		t.Errorf("%+v", tags.Tags)
	}
	many := make([]types.Tag, 50)
	for i := range many {
		many[i] = types.Tag{Key: aws.String(strings.Repeat("k", i+1)), Value: aws.String("")}
	}
	_, err := c.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: &arn, Tags: many})
	refusedAs[*types.TooManyTagsException](t, err, "would have 51 tags")

	must(c.DeleteInferenceProfile(ctx, &bedrock.DeleteInferenceProfileInput{InferenceProfileIdentifier: &arn}))(t)
	_, err = c.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: &arn})
	refusedAs[*types.ResourceNotFoundException](t, err, "Could not find the inference profile")
}

func TestLoggingWithAWSClient(t *testing.T) {
	ctx := t.Context()
	c := controlPlane(t, nil)
	get := func() *types.LoggingConfig {
		t.Helper()
		return must(c.GetModelInvocationLoggingConfiguration(ctx, &bedrock.GetModelInvocationLoggingConfigurationInput{}))(t).LoggingConfig
	}
	if l := get(); l != nil {
		t.Errorf("%+v", l)
	}
	put := func(l *types.LoggingConfig) error {
		_, err := c.PutModelInvocationLoggingConfiguration(ctx, &bedrock.PutModelInvocationLoggingConfigurationInput{LoggingConfig: l})
		return err
	}
	if err := put(&types.LoggingConfig{
		S3Config: &types.S3Config{BucketName: aws.String("invocation-logs"), KeyPrefix: aws.String("a")}, TextDataDeliveryEnabled: aws.Bool(true),
		ImageDataDeliveryEnabled: aws.Bool(false), EmbeddingDataDeliveryEnabled: aws.Bool(true), VideoDataDeliveryEnabled: aws.Bool(true), AudioDataDeliveryEnabled: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	l := get()
	if aws.ToString(l.S3Config.BucketName) != "invocation-logs" || aws.ToString(l.S3Config.KeyPrefix) != "a" || !aws.ToBool(l.TextDataDeliveryEnabled) || aws.ToBool(l.ImageDataDeliveryEnabled) ||
		l.ImageDataDeliveryEnabled == nil || !aws.ToBool(l.EmbeddingDataDeliveryEnabled) || !aws.ToBool(l.VideoDataDeliveryEnabled) || !aws.ToBool(l.AudioDataDeliveryEnabled) || l.CloudWatchConfig != nil {
		t.Errorf("%+v", l)
	}
	refusedAs[*types.ValidationException](t, put(&types.LoggingConfig{S3Config: &types.S3Config{BucketName: aws.String("elsewhere")}}), "Failed to validate permissions for bucket")
	must(c.DeleteModelInvocationLoggingConfiguration(ctx, &bedrock.DeleteModelInvocationLoggingConfigurationInput{}))(t)
	if l := get(); l != nil {
		t.Errorf("%+v", l)
	}
}

// A key that is no administrator's may look and call, and change nothing.
func TestAdministrator(t *testing.T) {
	ctx := t.Context()
	c := controlPlane(t, func(s *setup) { s.Access.Administrator = func(c identity.Caller) bool { return c.KeyID != testKey } })
	_, err := c.PutUseCaseForModelAccess(ctx, &bedrock.PutUseCaseForModelAccessInput{FormData: []byte(someForm)})
	refusedAs[*types.AccessDeniedException](t, err, "User: arn:aws:iam::123456789012:user/admin is not authorized to perform: bedrock:PutUseCaseForModelAccess because")
	_, err = c.DeleteModelInvocationLoggingConfiguration(ctx, &bedrock.DeleteModelInvocationLoggingConfigurationInput{})
	refusedAs[*types.AccessDeniedException](t, err, "bedrock:DeleteModelInvocationLoggingConfiguration")
	must(c.GetModelInvocationLoggingConfiguration(ctx, &bedrock.GetModelInvocationLoggingConfigurationInput{}))(t)
	must(c.ListInferenceProfiles(ctx, &bedrock.ListInferenceProfilesInput{}))(t)
}

// Without the service everything else is served, and these operations are not.
func TestWithoutAccess(t *testing.T) {
	ctx := t.Context()
	c := controlPlane(t, func(s *setup) { s.Access, s.Gateway.Access, s.Gateway.Policy.Own = nil, nil, nil })
	if p := must(c.ListInferenceProfiles(ctx, &bedrock.ListInferenceProfilesInput{}))(t); len(p.InferenceProfileSummaries) == 0 {
		t.Error("no profiles")
	}
	_, err := c.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{})
	if err == nil || !strings.Contains(err.Error(), "404") { // AWS's XML, which its own client cannot read
		t.Errorf("%v", err)
	}
	s := newSetup(t, scripted.Scenario{})
	s.Access = nil
	for _, op := range bedrockapi.Operations() {
		path := strings.NewReplacer("{modelId}", "m", "{modelIdentifier}", "m", "{inferenceProfileIdentifier}", "p", "{model_id}", "m").Replace(op.Path)
		req := httptest.NewRequest(op.Method, "http://127.0.0.1"+path, nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req) // unsigned: no operation panics for want of the service
		if w.Code < http.StatusBadRequest {
			t.Errorf("%s: %d", op.Name, w.Code)
		}
	}
}
