package bedrock

import "strings"

func unsupported(what, instead string) *Error {
	return &Error{Code: codeUnsupported, Message: what + " are not on Amazon Bedrock", Hint: instead}
}

func refuse(method, path string) error {
	if strings.Contains(path, "/v1/") {
		return unsupported(method+" "+path, "")
	}
	return nil
}
