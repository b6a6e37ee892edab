package camera

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where a secret was.
const hidden = "***"

// secretName matches what a property or a part of a query is called that may hold a user, a password or the like. It
// rather hides too much than too little.
var secretName = regexp.MustCompile(`(?i)pass|pw|secret|token|key|auth|cred|cookie|user|login|header|streamid|proxy|^sig`)

// stream matches an address of something in a network, or what was meant to be one.
var stream = regexp.MustCompile(`^gst:|://|!|^[^/]+:.*@|^\w+ .*=`)

// assignment matches what leads up to a value: of a property, in a query, in the fields of a format, of a header.
var assignment = regexp.MustCompile(`([^\s=?&;,#/"'\\]+)["']?(?:\s*=\s*|:\s)`)

// Masked is an address as it may be shown: without what stands before an @, and without the values of properties and of
// the parts of a query that may be secret. What comes after such a value in the same property goes with it. Paths of
// files and devices stay as they are.
func Masked(address string) string {
	var shown strings.Builder
	at := 0
	for _, secret := range secretsIn(address) {
		shown.WriteString(address[at:secret.from])
		shown.WriteString(hidden)
		at = secret.to
	}
	return shown.String() + address[at:]
}

// discreet is an error without the secrets of an address.
type discreet struct {
	error
	text string
}

func (d discreet) Error() string { return d.text }
func (d discreet) Unwrap() error { return d.error }

// masked takes the secrets of an address out of what an error says.
func masked(address string, err error) error {
	if err == nil {
		return nil
	}
	said := err.Error()
	text := strings.ReplaceAll(said, address, Masked(address))
	for _, at := range secretsIn(address) {
		for _, form := range forms(address[at.from:at.to]) {
			text = form.ReplaceAllString(text, "${1}"+hidden+"${2}")
		}
	}
	if text == said {
		return err
	}
	return discreet{err, text}
}

// forms match a secret as a program may print it, the longest first: as it is, the password of a user alone, without what
// follows in a query, without quotes and percent signs. One of a few letters is only matched as a word of its own.
func forms(secret string) []*regexp.Regexp {
	texts := []string{secret}
	if _, password, found := strings.Cut(secret, ":"); found {
		texts = append(texts, password)
	}
	if first, _, found := strings.Cut(secret, "&"); found {
		texts = append(texts, first)
	}
	for _, text := range texts {
		plain := strings.Trim(strings.ReplaceAll(text, `\`, ""), `"'`)
		texts = append(texts, plain)
		if decoded, err := url.PathUnescape(plain); err == nil {
			texts = append(texts, decoded)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	var found []*regexp.Regexp
	for _, text := range slices.Compact(texts) {
		switch {
		case len(text) == 0:
		case len(text) < 4:
			found = append(found, regexp.MustCompile(`(^|[^\pL\pN])`+regexp.QuoteMeta(text)+`($|[^\pL\pN])`))
		default:
			found = append(found, regexp.MustCompile(`()`+regexp.QuoteMeta(text)+`()`))
		}
	}
	return found
}

// span is where something stands in an address.
type span struct{ from, to int }

// secretsIn finds the secrets of an address, in their order.
func secretsIn(address string) []span {
	if !stream.MatchString(address) || strings.HasPrefix(address, "simulator:") {
		return nil
	}
	var secrets []span
	for _, word := range words(address) {
		for _, secret := range secretsInWord(address[word.from:word.to]) {
			secrets = append(secrets, span{word.from + secret.from, word.from + secret.to})
		}
	}
	return secrets
}

// words splits an address where GStreamer splits a pipeline: at spaces that are not within quotes and not around an =.
func words(address string) []span {
	var found []span
	start, quote, escaped := 0, rune(0), false
	for i, r := range address {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case strings.ContainsRune(" \t\r\n", r):
			before := strings.HasSuffix(strings.TrimRight(address[start:i], " \t\r\n"), "=")
			after := strings.HasPrefix(strings.TrimLeft(address[i:], " \t\r\n"), "=")
			if !before && !after {
				found = append(found, span{start, i})
				start = i + 1
			}
		}
	}
	return append(found, span{start, len(address)})
}

// secretsInWord finds what is secret in a property or an address.
func secretsInWord(word string) []span {
	value, begin := -1, 0 // the first secret value; where a user may begin
	for i, at := range assignment.FindAllStringSubmatchIndex(word, -1) {
		if i == 0 && at[0] == 0 {
			begin = at[1]
		}
		if value < 0 && secretName.MatchString(word[at[2]:at[3]]) {
			value = at[1]
		}
	}
	at := strings.LastIndexByte(word, '@')
	if scheme := strings.Index(word, "://"); scheme >= 0 && scheme+3 <= at {
		begin = scheme + 3
	}
	switch {
	case at < 0 && value < 0:
		return nil
	case at < 0:
		return unquoted(word, value)
	case value < 0:
		return []span{{begin, at}}
	case value > at:
		return append([]span{{begin, at}}, unquoted(word, value)...)
	}
	return unquoted(word, min(begin, value))
}

// unquoted is the rest of a word, less quotes around it.
func unquoted(word string, from int) []span {
	to := len(word)
	if last := word[to-1]; to > from && (last == '"' || last == '\'') {
		switch {
		case word[from] == last && to-from > 1:
			from, to = from+1, to-1
		case strings.IndexByte(word[:from], last) >= 0:
			to--
		}
	}
	if from == to {
		return nil
	}
	return []span{{from, to}}
}
