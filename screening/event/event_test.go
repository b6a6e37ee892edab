package event

import (
	"net/url"
	"testing"
)

func TestSourceIsAURIReference(t *testing.T) {
	for _, test := range []struct{ site, gate, want string }{
		{"plant", "north", "/plant/north"},
		{"厂区", "北门 2", "/%E5%8E%82%E5%8C%BA/%E5%8C%97%E9%97%A8%202"},
		{"50%", "a?b#c", "/50%25/a%3Fb%23c"},
		{"http:", "ä\"<>\\^`{|}", "/http:/%C3%A4%22%3C%3E%5C%5E%60%7B%7C%7D"},
	} {
		got := Source(test.site, test.gate)
		if got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		parsed, err := url.Parse(got)
		if err != nil || parsed.Path != "/"+test.site+"/"+test.gate {
			t.Errorf("%q means %+v, %v", got, parsed, err)
		}
	}
}
