package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"golang.org/x/net/http/httpproxy"

	"github.com/outcrop-dev/outcrop/internal/clientenv"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// variables names what in the environment would send clients elsewhere.
func (d *doctor) variables() {
	if d.AWS {
		var moved []string
		for _, name := range slices.Concat(runtimeEndpoints, controlEndpoints, []string{"ANTHROPIC_BEDROCK_MANTLE_BASE_URL", "CLAUDE_CODE_SKIP_BEDROCK_AUTH"}) {
			if os.Getenv(name) != "" {
				moved = append(moved, name)
			}
		}
		if len(moved) == 0 {
			d.well("variables", "none that points away from AWS")
			return
		}
		d.say("variables", advice, "unset "+strings.Join(moved, " "), "clients of this shell do not go to AWS: %s", strings.Join(moved, ", "))
		return
	}
	var found []string
	env, err := clientenv.New("http://"+defaultListen, defaultRegion, sigv4.Credentials{}, "", os.Getenv)
	if err != nil {
		d.say("variables", ill, "", "%v", err)
		return
	}
	for _, name := range env.Unset {
		if os.Getenv(name) != "" {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		d.well("variables", "none that brings another identity or endpoint to a client")
		return
	}
	d.say("variables", advice, fmt.Sprintf("eval \"$(%s env)\" unsets them in a shell, %s exec -- CMD for one command", self(), self()),
		"some clients would follow %s", strings.Join(found, ", "))
}

// region says where the Region is from, by the page's rule, and who reads another.
func (d *doctor) region() {
	other := os.Getenv("AWS_DEFAULT_REGION")
	file, profile := fileRegion()
	env := os.Getenv("AWS_REGION")
	const byDefault = defaultRegion + " (the default, as AWS_REGION is not set)"
	switch {
	case d.Region != "":
		d.well("region", "%s (--region)", d.Region)
	case env != "":
		d.well("region", "%s (AWS_REGION)", env)
	case other != "" && other != defaultRegion:
		d.say("region", advice, "export AWS_REGION="+other, "%s; AWS_DEFAULT_REGION=%s is read by boto3 and the AWS CLI alone", byDefault, other)
	case file != "" && file != defaultRegion:
		d.say("region", advice, "export AWS_REGION="+file, "%s; profile %s of ~/.aws/config says %s, which AnthropicBedrock clients do not read", byDefault, profile, file)
	default:
		d.well("region", "%s", byDefault)
	}
}

// fileRegion is the Region of the profile that AWS's own clients would take.
func fileRegion() (region, profile string) {
	profile, _ = firstSet([]string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"})
	if profile == "" {
		profile = "default"
	}
	shared, err := config.LoadSharedConfigProfile(context.Background(), profile, func(o *config.LoadSharedConfigOptions) {
		if f := os.Getenv("AWS_CONFIG_FILE"); f != "" {
			o.ConfigFiles = []string{f}
		}
		if f := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); f != "" {
			o.CredentialsFiles = []string{f}
		}
	})
	if err != nil {
		return "", profile // the credentials' check says why
	}
	return shared.Region, profile
}

// proxies says whether calls to the target go through one.
func (d *doctor) proxies(t *target) {
	settings := httpproxy.FromEnvironment()
	if settings.HTTPProxy == "" && settings.HTTPSProxy == "" {
		d.well("proxies", "none: HTTP_PROXY and HTTPS_PROXY are not set")
		return
	}
	u, err := url.Parse(t.BaseURL())
	if err != nil {
		d.say("proxies", ill, "", "%v", err)
		return
	}
	proxy, err := settings.ProxyFunc()(u)
	named := slices.Contains(strings.FieldsFunc(settings.NoProxy, func(r rune) bool { return r == ',' || r == ' ' }), u.Hostname())
	switch {
	case err != nil:
		d.say("proxies", ill, "HTTP_PROXY and HTTPS_PROXY want URLs such as http://proxy:3128", "%v", err)
	case proxy == nil && isHere(u.Hostname()) && !named:
		d.say("proxies", advice, "export NO_PROXY="+strings.Trim(settings.NoProxy+","+u.Hostname(), ","),
			"set, and Python's clients use them even for %s", u.Host)
	case proxy == nil:
		d.well("proxies", "set, but not for %s", u.Host)
	default:
		d.proxied = true
		d.well("proxies", "%s is reached through %s", u.Host, proxy.Redacted())
	}
}

// credentials says who gives them, and where they were looked for.
func (d *doctor) credentials(ctx context.Context, t *target) bool {
	cfg := t.AWSConfig()
	if cfg.BearerAuthTokenProvider != nil {
		d.say("credentials", well, "", "a Bedrock API key, AWS_BEARER_TOKEN_BEDROCK%s", alsoSet("AWS_ACCESS_KEY_ID", "; it wins over AWS_ACCESS_KEY_ID"))
		return true
	}
	got, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		d.say("credentials", ill, "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE after aws configure, or AWS_BEARER_TOKEN_BEDROCK", "%s", flush(noCredentials(ctx, err)))
		return false
	}
	text := got.AccessKeyID + ", from " + source(got.Source)
	if got.CanExpire {
		text += ", until " + got.Expires.Local().Format("2006-01-02 15:04:05")
	}
	if d.half() {
		d.say("credentials", advice, "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither", "%s; one half of a pair in the environment is not used", text)
		return true
	}
	d.well("credentials", "%s", text)
	return true
}

// half a pair is passed over by AWS's chain in silence.
func (d *doctor) half() bool {
	return (os.Getenv("AWS_ACCESS_KEY_ID") == "") != (os.Getenv("AWS_SECRET_ACCESS_KEY") == "")
}

// source is AWS's name of a provider, in words.
func source(name string) string {
	switch {
	case name == "WithAccessKey":
		return "the data folder"
	case name == "EnvConfigCredentials":
		return "AWS_ACCESS_KEY_ID"
	case strings.HasPrefix(name, "SharedConfigCredentials: "):
		return strings.TrimPrefix(name, "SharedConfigCredentials: ")
	default:
		return name
	}
}

func alsoSet(name, text string) string {
	if os.Getenv(name) == "" {
		return ""
	}
	return text
}
