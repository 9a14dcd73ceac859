package bedrockapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Closed lists of bedrock-runtime 2023-09-30: the exceptions that its two
// streams can carry both, and the statuses of its error shapes. modelTimeout-
// Exception is a member of InvokeModel's stream alone.
var (
	streamNames = []string{"internalServerException", "modelStreamErrorException", "modelTimeoutException",
		"serviceUnavailableException", "throttlingException", "validationException"}
	modelled = map[string]int{
		"AccessDeniedException": 403, "ConflictException": 400, "InternalServerException": 500, "ModelErrorException": 424,
		"ModelNotReadyException": 429, "ModelStreamErrorException": 424, "ModelTimeoutException": 408, "ResourceNotFoundException": 404,
		"ServiceQuotaExceededException": 400, "ServiceUnavailableException": 503, "ThrottlingException": 429, "ValidationException": 400,
		"TooManyTagsException": 400, // of bedrock 2023-04-20
	}
	// Of the layer before the service, which the model does not list; service.md 2.
	unmodelled = []string{"UnknownOperationException", "MissingAuthenticationTokenException", "IncompleteSignatureException",
		"InvalidSignatureException", "UnrecognizedClientException", "ExpiredTokenException"}
)

func TestEveryKindHasAnException(t *testing.T) {
	for _, k := range messages.Kinds() {
		x, ok := exceptions[k]
		if !ok {
			t.Errorf("kind %d has no row", k)
			continue
		}
		if !slices.Contains(streamNames, x.Stream) {
			t.Errorf("%s: %q is no member of a stream", x.Name, x.Stream)
		}
		status, inModel := modelled[x.Name]
		switch {
		case inModel && status != x.Status && k != messages.Loop: // 508 is ours
			t.Errorf("%s: status %d, the model says %d", x.Name, x.Status, status)
		case !inModel && !slices.Contains(unmodelled, x.Name):
			t.Errorf("%s is an exception of nobody", x.Name)
		}
	}
	if len(exceptions) != len(messages.Kinds()) {
		t.Errorf("%d rows for %d kinds", len(exceptions), len(messages.Kinds()))
	}
	if ExceptionOf(0).Name != "InternalServerException" {
		t.Error("a Kind that is none must look internal")
	}
}

// Each name that AWS can say is understood, in every spelling.
func TestKindOfSpellings(t *testing.T) {
	for name := range modelled {
		k, ok := Named(name)
		if !ok || ExceptionOf(k).Name != name {
			t.Errorf("%s: kind %d", name, k)
		}
		camel := strings.ToLower(name[:1]) + name[1:]
		for _, spelled := range []string{name, camel, name + ":http://internal.amazon.com/coral/com.amazon.bedrock/",
			"com.amazon.coral.service#" + name, "aws.bedrock#" + name + ":http://example.com/#fragment", name + ":http://example.com/a#b"} {
			if got := KindOf(spelled, 0); got != k {
				t.Errorf("%q: kind %d, want %d", spelled, got, k)
			}
		}
	}
	for name, want := range map[string]messages.Kind{
		"ValidationException": messages.InvalidRequest, "AccessDeniedException": messages.AccessDenied,
		"InternalServerException": messages.Internal, "modelStreamErrorException": messages.ModelStreamFailed,
		"InvalidSignatureException": messages.InvalidSignature, "ExpiredTokenException": messages.ExpiredToken,
	} {
		if got := KindOf(name, 500); got != want {
			t.Errorf("%s: kind %d, want %d", name, got, want)
		}
	}
	if k, ok := Named("TomorrowException"); ok {
		t.Errorf("kind %d", k)
	}
}

func TestKindOfStatus(t *testing.T) {
	for status, want := range map[int]messages.Kind{
		400: messages.InvalidRequest, 401: messages.AccessDenied, 403: messages.AccessDenied, 404: messages.NotFound,
		408: messages.ModelTimeout, 413: messages.TooLarge, 418: messages.InvalidRequest, 424: messages.ModelFailed,
		429: messages.Throttled, 500: messages.Internal, 502: messages.Internal, 503: messages.Unavailable,
		504: messages.ModelTimeout, 508: messages.Loop, 0: messages.Internal, 302: messages.Internal,
	} {
		for _, name := range []string{"", "TomorrowException"} {
			if got := KindOf(name, status); got != want {
				t.Errorf("%q %d: kind %d, want %d", name, status, got, want)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	for _, k := range messages.Kinds() {
		for _, s := range []Surface{SurfaceRuntime, SurfaceControl, SurfaceSTS, SurfaceNone} {
			if Status(s, k) != ExceptionOf(k).Status {
				t.Errorf("surface %d, kind %d", s, k)
			}
		}
	}
	if got := Status(SurfaceMessages, messages.TooLarge); got != 413 {
		t.Errorf("%d", got)
	}
}

func TestAppendBody(t *testing.T) {
	for _, test := range []struct {
		kind messages.Kind
		text string
		want string
	}{
		{messages.InvalidRequest, "a \"b\"", `{"message":"a \"b\""}`},
		{messages.InvalidAPIKey, "no", `{"Message":"no"}`},
		{messages.ModelRejected, "too long", `{"message":"The model returned the following errors: too long"}`},
		{messages.ModelRejected, "The model returned the following errors: once", `{"message":"The model returned the following errors: once"}`},
	} {
		got := AppendBody(nil, messages.Errorf(test.kind, "%s", test.text))
		if string(got) != test.want || !json.Valid(got) {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		op           *Operation
		method, path string
		label        string
		ok           bool
	}{
		{InvokeModel, "POST", "/model/global.anthropic.claude-opus-4-6-v1:0/invoke", "global.anthropic.claude-opus-4-6-v1:0", true},
		{InvokeModel, "POST", "/model/anthropic.claude-opus-4-6-v1%3A0/invoke", "anthropic.claude-opus-4-6-v1%3A0", true},
		{InvokeModel, "POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x/invoke",
			"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x", true},
		{InvokeModel, "POST", "/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fus.x/invoke", "arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fus.x", true},
		{InvokeModel, "POST", "/model/../invoke", "..", true}, // a label, and no more
		{InvokeModel, "POST", "/model/a/b/invoke", "", false},
		{InvokeModel, "POST", "/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x/invoke", "", false},
		{InvokeModel, "POST", "/model//invoke", "", false},
		{InvokeModel, "POST", "/model/invoke", "", false},
		{InvokeModel, "POST", "/model/a/invoke/", "", false},
		{InvokeModel, "POST", "/model/a/invoke/x", "", false},
		{InvokeModel, "POST", "//model/a/invoke", "", false},
		{InvokeModel, "POST", "model/a/invoke", "", false},
		{InvokeModel, "POST", "/model/a%2Finvoke", "", false},
		{InvokeModel, "POST", "/model%2Fa/invoke", "", false},
		{InvokeModel, "POST", "/Model/a/invoke", "", false},
		{InvokeModel, "GET", "/model/a/invoke", "", false},
		{InvokeModel, "post", "/model/a/invoke", "", false},
		{InvokeModel, "POST", "/model/a/invoke-with-response-stream", "", false},
		{InvokeModelStream, "POST", "/model/a/invoke-with-response-stream", "a", true},
		{CreateMessageBare, "POST", "/v1/messages", "", true},
		{CreateMessageBare, "POST", "/v1/messages/", "", false},
		{CountMessageBare, "POST", "/v1/messages/count_tokens", "", true},
		{GetModel, "GET", "/v1/models/anthropic.claude-opus-4-7", "anthropic.claude-opus-4-7", true},
		{GetModel, "GET", "/v1/models/", "", false},
		{GetInferenceProfile, "GET", "/inference-profiles/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx", "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx", true},
		{GetCallerIdentity, "POST", "/", "", true},
		{GetCallerIdentity, "POST", "", "", false},
		{GetCallerIdentity, "POST", "/x", "", false},
		{GetCallerIdentity, "OPTIONS", "*", "", false},
	} {
		label, ok := test.op.Match(test.method, test.path)
		if ok != test.ok || label != test.label {
			t.Errorf("%s %s %q: %q %v, want %q %v", test.op.Name, test.method, test.path, label, ok, test.label, test.ok)
		}
	}
}

// No two rows answer the same request, and each answers its own path.
func TestOperationsAreDistinct(t *testing.T) {
	for _, o := range Operations() {
		path := strings.NewReplacer("{modelId}", "m", "{modelIdentifier}", "m", "{inferenceProfileIdentifier}", "p", "{model_id}", "m").Replace(o.Path)
		if u, err := url.Parse("http://h" + path); err != nil || u.EscapedPath() != path {
			t.Errorf("%s: path %q", o.Name, path)
		}
		var hits []string
		for _, other := range Operations() {
			if _, ok := other.Match(o.Method, path); ok {
				hits = append(hits, other.Path)
			}
		}
		if len(hits) != 1 || hits[0] != o.Path {
			t.Errorf("%s %s is answered by %v", o.Method, path, hits)
		}
		if got := SurfaceOf(path); got != o.Surface {
			t.Errorf("%s: surface %d, guessed %d", path, o.Surface, got)
		}
	}
}

// The responseCode of bedrock 2023-04-20, where it is not 200.
func TestSuccess(t *testing.T) {
	want := map[*Operation]int{
		CreateInferenceProfile: 201, PutUseCaseForModelAccess: 201,
		CreateFoundationModelAgreement: 202, DeleteFoundationModelAgreement: 202,
	}
	for _, o := range Operations() {
		status, ok := want[o]
		if !ok {
			status = 200
		}
		if o.Success != status {
			t.Errorf("%s: %d, want %d", o.Name, o.Success, status)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	ops := Operations()
	if n := testing.AllocsPerRun(100, func() {
		for _, o := range ops {
			o.Match("POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x/invoke")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("POST", "/model/a%2Fb/invoke")
	f.Add("GET", "/v1/models//")
	f.Fuzz(func(t *testing.T, method, path string) {
		SurfaceOf(path)
		n := 0
		for _, o := range Operations() {
			if label, ok := o.Match(method, path); ok {
				n++
				if strings.Contains(label, "/") {
					t.Fatalf("label %q", label)
				}
			}
		}
		if n > 1 {
			t.Fatalf("%s %q: %d operations", method, path, n)
		}
	})
}
