package grammar

import "strings"

// formats are the formats of JSON Schema as regular expressions. Each writes a
// part of what its format allows.
var formats = map[string]string{
	"date":      date,
	"time":      clock,
	"date-time": date + "T" + clock,
	"duration": strings.ReplaceAll(`P(#[YMWD]|#Y#M(#D)?|#M#D|(#D)?T(#H(#M(#S)?)?|#M(#S)?|#S))`,
		"#", `[1-9][0-9]{0,3}`),

	"email":        local + "@" + host,
	"idn-email":    local + "@" + host,
	"hostname":     host,
	"idn-hostname": host,
	"ipv4":         `(` + octet + `\.){3}` + octet,
	"ipv6":         `([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|([0-9a-f]{1,4}:){1,5}:[0-9a-f]{1,4}|::1`,

	"uri":           uri,
	"uri-reference": uri + `|(/` + segment + `){1,5}`,
	"uri-template":  uri,
	"iri":           uri,
	"iri-reference": uri + `|(/` + segment + `){1,5}`,
	"uuid":          `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`,

	"json-pointer":          `(/[A-Za-z0-9_]+)*`,
	"relative-json-pointer": `(0|[1-9][0-9]{0,2})(/[A-Za-z0-9_]+)*`,
	"regex":                 `[A-Za-z0-9]+`,
}

const (
	date  = `[12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)`
	clock = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	octet = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`

	// RFC 5321 and 1035 end a name before the 64th character, an address before
	// the 255th.
	local   = `[A-Za-z0-9]{1,20}([._+-][A-Za-z0-9]{1,20}){0,2}`
	label   = `[A-Za-z0-9]{1,24}(-[A-Za-z0-9]{1,24})?`
	host    = `(` + label + `\.){1,3}[A-Za-z]{2,10}`
	segment = `[A-Za-z0-9._~-]{0,40}`
	uri     = `https?://` + host + `(:[1-9][0-9]{0,3})?(/` + segment + `){0,5}(\?[A-Za-z0-9._~=&-]{0,80})?(#[A-Za-z0-9._~-]{0,40})?`
)
