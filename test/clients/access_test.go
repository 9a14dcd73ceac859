package clients

import (
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// Each client has a Region of its own, one that has to be enabled: those do not share the use-case form.
const (
	boto3Region = "eu-central-2"
	cliRegion   = "ap-southeast-4"
)

// accessible is model access from beginning to end.
func accessible(t *testing.T, s *subject) {
	got := s.done(t, "access", boto3Region).Facts
	want := map[string]string{
		"fresh": "AVAILABLE AUTHORIZED AVAILABLE AVAILABLE", "withdrawn": "202", "then": "NOT_AVAILABLE AUTHORIZED AVAILABLE AVAILABLE",
		"then invoked": "AccessDeniedException", "price": "5", "agreed": "202", "agreed twice": "ConflictException", "invoked": "200",
		"no form": "ResourceNotFoundException", "form": "201", "same form": "True",
		"retention": "inherit", "set": "200", "covered by none": "ValidationException", "set again": "aws_review", "covered by aws_review": "200",
		"logging": "None", "to nobody's bucket": "ValidationException", "to a bucket": "200", "logs to": "team-logs calls False", "logging deleted": "200",
		"made": "201 ACTIVE", "listed": "team 7", "profile": "APPLICATION ACTIVE of 2 models", "profile invoked": "200",
		"tags": "env=test", "51 tags": "TooManyTagsException", "deleted": "200", "gone": "ResourceNotFoundException", "gone, invoked": "ResourceNotFoundException",
	}
	for what, w := range want {
		if got[what] != w {
			t.Errorf("%s: %q, want %q", what, got[what], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d facts, want %d: %q", len(got), len(want), got)
	}
}

const useCase = `{"companyName":"Example","companyWebsite":"https://example.com","intendedUsers":"0","industryOption":"Other","useCases":"Reading rocks"}`

// cliAccess is the same, as AWS's guide "Request access to models" has it for the CLI.
func cliAccess(t *testing.T, s *subject) {
	const model = "anthropic.claude-opus-4-6-v1:0"
	region := " --region " + cliRegion
	refused := func(command, code string, more ...string) {
		t.Helper()
		cmd := shellOf(t, s, command+region, more...)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "("+code+")") {
			t.Errorf("%s: %v: %s, want %s", command, err, out, code)
		}
	}
	does := func(command string, more ...string) {
		t.Helper()
		output(t, shellOf(t, s, command+region, more...))
	}
	says := func(want, command string, more ...string) {
		t.Helper()
		var got string
		cli(t, s, &got, command+region, more...)
		if got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	status := "aws bedrock get-foundation-model-availability --model-id " + model + " --query agreementAvailability.status"
	says("AVAILABLE", status)
	does("aws bedrock delete-foundation-model-agreement --model-id " + model)
	says("NOT_AVAILABLE", status)
	var token string
	cli(t, s, &token, "aws bedrock list-foundation-model-agreement-offers --model-id "+model+" --query 'offers[0].offerToken'"+region)
	refused("aws bedrock get-use-case-for-model-access", "ResourceNotFoundException")
	does(`aws bedrock put-use-case-for-model-access --form-data "$FORM"`, "FORM="+useCase)
	says(base64.StdEncoding.EncodeToString([]byte(useCase)), "aws bedrock get-use-case-for-model-access --query formData")
	says(model, `aws bedrock create-foundation-model-agreement --model-id `+model+` --offer-token "$TOKEN" --query modelId`, "TOKEN="+token)
	says("AVAILABLE", status)

	says("inherit", "aws bedrock get-account-data-retention --query mode")
	says("aws_review", "aws bedrock put-account-data-retention --mode aws_review --query mode")

	does("aws bedrock get-model-invocation-logging-configuration")
	refused(`aws bedrock put-model-invocation-logging-configuration --logging-config '{"s3Config":{"bucketName":"somebody-elses-bucket"}}'`, "ValidationException")
	does(`aws bedrock put-model-invocation-logging-configuration --logging-config '{"s3Config":{"bucketName":"team-logs"},"textDataDeliveryEnabled":true}'`)
	says("team-logs", "aws bedrock get-model-invocation-logging-configuration --query loggingConfig.s3Config.bucketName")
	does("aws bedrock delete-model-invocation-logging-configuration")

	var arn string
	cli(t, s, &arn, "aws bedrock create-inference-profile --inference-profile-name 'team 7' --tags key=team,value=7 --query inferenceProfileArn"+
		" --model-source copyFrom=arn:aws:bedrock:"+cliRegion+":"+s.account(t)+":inference-profile/global."+model+region)
	var mine []string
	cli(t, s, &mine, "aws bedrock list-inference-profiles --type-equals APPLICATION --query 'inferenceProfileSummaries[*].inferenceProfileArn'"+region)
	if len(mine) != 1 || mine[0] != arn {
		t.Errorf("the profiles are %q, want %q", mine, arn)
	}
	says("team 7", `aws bedrock get-inference-profile --inference-profile-identifier "$ARN" --query inferenceProfileName`, "ARN="+arn)
	does(`aws bedrock tag-resource --resource-arn "$ARN" --tags key=env,value=test`, "ARN="+arn)
	does(`aws bedrock untag-resource --resource-arn "$ARN" --tag-keys team`, "ARN="+arn)
	says("test", `aws bedrock list-tags-for-resource --resource-arn "$ARN" --query 'tags[0].value'`, "ARN="+arn)
	does(`printf %s "$BODY" > body.json && aws bedrock-runtime invoke-model --model-id "$ARN" --body file://body.json out.json`, "ARN="+arn, "BODY="+cliBody)
	does(`aws bedrock delete-inference-profile --inference-profile-identifier "$ARN"`, "ARN="+arn)
	refused(`aws bedrock get-inference-profile --inference-profile-identifier "$ARN"`, "ResourceNotFoundException", "ARN="+arn)
	s.ownAccess(t)
}

// account is the server's, as STS says it.
func (s *subject) account(t *testing.T) string {
	t.Helper()
	var account string
	cli(t, s, &account, "aws sts get-caller-identity --query Account")
	return account
}

// ownAccess holds `outcrop access` to what AWS's CLI has left.
func (s *subject) ownAccess(t *testing.T) {
	t.Helper()
	cmd := exec.Command(shared.outcrop.bin, "access", "list", "--json", "--data", shared.outcrop.data, "--region", cliRegion)
	cmd.Env = cleanEnv(t.TempDir())
	var rows []struct{ ModelID, Agreement string }
	if err := json.Unmarshal([]byte(output(t, cmd)), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Agreement != "AVAILABLE" {
			t.Errorf("%s: %s", r.ModelID, r.Agreement)
		}
	}
	if len(rows) == 0 {
		t.Error("no models")
	}
}
