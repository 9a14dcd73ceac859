package httpapi

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// getCallerIdentity is STS's query protocol: a form in, XML out.
func (x *exchange) getCallerIdentity(caller identity.Caller, body []byte) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return messages.Errorf(messages.InvalidRequest, "The request body is not a form.").WithCause(err)
	}
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		return messages.Errorf(messages.UnknownOperation, "Could not find operation %s for version %s", strconv.Quote(action), form.Get("Version"))
	}
	type result struct{ Arn, UserId, Account string }
	out, err := xml.Marshal(struct {
		XMLName  xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result   result   `xml:"GetCallerIdentityResult"`
		Metadata struct {
			RequestID string `xml:"RequestId"`
		} `xml:"ResponseMetadata"`
	}{Result: result{caller.ARN, caller.UserID, caller.Account}, Metadata: struct {
		RequestID string `xml:"RequestId"`
	}{x.requestID}})
	if err != nil {
		return err
	}
	x.reply("text/xml", out)
	return nil
}

func (x *exchange) reply(contentType string, body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	status := http.StatusOK // of healthz, which is no operation
	if x.op != nil {
		status = x.op.Success
	}
	x.begin(status)
	_ = x.send(body) // the client may be gone
}
