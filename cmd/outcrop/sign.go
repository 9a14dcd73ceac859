package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// sign is for requests that none of AWS's clients makes.
func sign(req *http.Request, body []byte, key sigv4.Credentials, region, service string) error {
	sum := sha256.Sum256(body)
	return new(sigv4.Signer).Sign(req, hex.EncodeToString(sum[:]), key, region, service, time.Now())
}

func keyOf(c aws.Credentials) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}
