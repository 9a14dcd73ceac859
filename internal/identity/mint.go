package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"math/big"
	"strings"
	"time"
)

// LongTermPrefix begins every long-term API key.
const LongTermPrefix = "ABSK"

// NewAccountID makes an account id: 12 digits, the first of them not 0, which
// YAML and spreadsheets would drop.
func NewAccountID() string {
	low := big.NewInt(100_000_000_000)
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		panic(err) // crypto/rand's Reader does not fail
	}
	return n.Add(n, low).String()
}

// uniqueID is AWS's form: a prefix that names the kind, then base32.
func uniqueID(prefix string) string {
	var b [10]byte
	rand.Read(b[:])
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

// NewUser makes a user of the account.
func NewUser(account, name string) Owner {
	return Owner{Account: account, Partition: "aws", ARN: "arn:aws:iam::" + account + ":user/" + name, UserID: uniqueID("AIDA")}
}

// NewAccessKey makes an access key: a 20-character id, a 40-character secret.
func NewAccessKey(o Owner) AccessKey {
	var b [30]byte
	rand.Read(b[:])
	return AccessKey{Owner: o, ID: uniqueID("AKIA"), Secret: base64.StdEncoding.EncodeToString(b[:])}
}

// NewAPIKey makes a long-term API key, in AWS's form: ABSK and the base64 of
// BedrockAPIKey-<4>-at-<account>:<secret>. The key is to be shown once; what
// is kept has its hash.
func NewAPIKey(account string, expires time.Time) (key string, stored APIKey) {
	var b [45]byte
	rand.Read(b[:])
	user := "BedrockAPIKey-" + strings.ToLower(rand.Text()[:4])
	key = LongTermPrefix + base64.StdEncoding.EncodeToString([]byte(user+"-at-"+account+":"+base64.StdEncoding.EncodeToString(b[:])))
	return key, APIKey{Owner: NewUser(account, user), ID: uniqueID("ACCA"), Sum: sha256.Sum256([]byte(key)), Expires: expires}
}
