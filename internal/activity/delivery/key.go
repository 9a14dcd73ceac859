package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// place is the folder of a record in AWS's layout.
type place struct{ prefix, account, region, hour string }

func placeOf(r *activity.Record) place {
	return place{strings.Trim(r.Deliver.Prefix, "/"), r.Account, r.Region, r.Time.UTC().Format("2006/01/02/15")}
}

func logsFolder(prefix, account string) string {
	return path.Join(prefix, "AWSLogs", account, "BedrockModelInvocationLogs")
}

func (p place) folder() string {
	return path.Join(logsFolder(p.prefix, p.account), p.region, p.hour)
}

// batchKey names the object of a batch by its first record, the n-th of its day:
// a batch that is sent again, after a crash, takes the place of the first one.
func (p place) batchKey(bucket string, d activity.Day, n int, at time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", bucket, d, n))
	at = at.UTC()
	return path.Join(p.folder(), fmt.Sprintf("%s%03dZ_%s.json.gz", at.Format("20060102T150405"), at.Nanosecond()/1e6, hex.EncodeToString(sum[:8])))
}

// bodyKey names the object of a body that is too large for its record.
func (p place) bodyKey(requestID, which string) string {
	return path.Join(p.folder(), "data", safe(requestID)+"_"+which+".json.gz")
}

// checkKey is what the service writes when a configuration is set.
func checkKey(prefix, account string) string {
	return path.Join(logsFolder(strings.Trim(prefix, "/"), account), "amazon-bedrock-logs-permission-check")
}

// safe keeps an id from being a path.
func safe(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		default:
			return '_'
		}
	}, id)
}
