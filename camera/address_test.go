package camera

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestMaskedHidesEverySecret has a secret in each address, S3cr3t, and a user, R00t; neither may be left.
func TestMaskedHidesEverySecret(t *testing.T) {
	for _, test := range []struct{ address, want string }{
		// user information
		{"rtsp://R00t:S3cr3t@10.0.0.7:554/ir", "rtsp://***@10.0.0.7:554/ir"},
		{"gst:rtspsrc location=rtsp://R00t:S3cr3t@10.0.0.7/ir latency=0 ! rtpgstdepay", "gst:rtspsrc location=rtsp://***@10.0.0.7/ir latency=0 ! rtpgstdepay"},
		{"gst:rtspsrc location=rtsp://R00t@10.0.0.7/ir", "gst:rtspsrc location=rtsp://***@10.0.0.7/ir"},
		{"gst:rtspsrc location=rtsp://:S3cr3t@[fe80::1]/ir", "gst:rtspsrc location=rtsp://***@[fe80::1]/ir"},
		{"gst:rtspsrc location=rtsp://R00t:a@S3cr3t@host/ir", "gst:rtspsrc location=rtsp://***@host/ir"},
		{"gst:rtspsrc location=rtsp://R00t:a/S3cr3t?b#c!d@host/ir", "gst:rtspsrc location=rtsp://***@host/ir"},
		{"gst:rtspsrc location=rtsp://R00t:a%40S3cr3t@host/ir", "gst:rtspsrc location=rtsp://***@host/ir"},
		{"gst:rtspsrc location=rtsp://R00t:x=S3cr3t@host/ir", "gst:rtspsrc location=rtsp://***@host/ir"},
		{"gst:rtspsrc location=rtsp://R00t:key=S3cr3t@host/ir", "gst:rtspsrc location=rtsp://***"},
		{`gst:rtspsrc location="rtsp://R00t:a S3cr3t@host/ir" ! x`, `gst:rtspsrc location="rtsp://***@host/ir" ! x`},
		{`gst:rtspsrc location=rtsp://R00t:a\ S3cr3t@host/ir ! x`, `gst:rtspsrc location=rtsp://***@host/ir ! x`},
		{"gst:rtspsrc location=rtsp://R00t:it'S3cr3t@host/ir ! b password=S3cr3t", "gst:rtspsrc location=rtsp://***@host/ir ! b password=***"},
		{"gst:tcpclientsrc host=R00t:S3cr3t@10.0.0.7", "gst:tcpclientsrc host=***@10.0.0.7"},
		{"gst:multi uris=rtsp://R00t:S3cr3t@a/,rtsp://R00t:S3cr3t@b/", "gst:multi uris=rtsp://***@b/"},
		// properties
		{"gst:rtspsrc user-id=R00t user-pw=S3cr3t location=rtsp://10.0.0.7/ir", "gst:rtspsrc user-id=*** user-pw=*** location=rtsp://10.0.0.7/ir"},
		{`gst:rtspsrc user-pw="a S3cr3t b" ! x`, `gst:rtspsrc user-pw="***" ! x`},
		{`gst:rtspsrc user-pw='a S3cr3t' ! x`, `gst:rtspsrc user-pw='***' ! x`},
		{`gst:rtspsrc user-pw="a \" S3cr3t" ! x`, `gst:rtspsrc user-pw="***" ! x`},
		{`gst:rtspsrc user-pw=a\ S3cr3t ! x`, `gst:rtspsrc user-pw=*** ! x`},
		{`gst:rtspsrc user-pw=ab"c S3cr3t"d ! x`, `gst:rtspsrc user-pw=*** ! x`},
		{"gst:rtspsrc user-pw = S3cr3t ! x", "gst:rtspsrc user-pw = *** ! x"},
		{"gst:rtspsrc user-pw=\n  S3cr3t\n  ! x", "gst:rtspsrc user-pw=\n  ***\n  ! x"},
		{`gst:rtspsrc "user-pw"="S3cr3t" ! x`, `gst:rtspsrc "user-pw"="***" ! x`},
		{"gst:rtspsrc user-pw=a&S3cr3t ! x", "gst:rtspsrc user-pw=*** ! x"},
		{"gst:rtspsrc user-pw=a@S3cr3t ! x", "gst:rtspsrc user-pw=*** ! x"},
		{"gst:rtspsrc USER-PW=S3cr3t", "gst:rtspsrc USER-PW=***"},
		{`gst:rtspsrc user-pw="a S3cr3t`, `gst:rtspsrc user-pw=***`},
		{"gst:src proxy=http://R00t:S3cr3t@proxy:3128 proxy-pw=S3cr3t", "gst:src proxy=*** proxy-pw=***"},
		{`gst:souphttpsrc extra-headers="x,Authorization=(string)\"Basic S3cr3t\"" ! x`, `gst:souphttpsrc extra-headers="***" ! x`},
		{`gst:souphttpsrc cookies="sid=S3cr3t" ! x`, `gst:souphttpsrc cookies="***" ! x`},
		{`gst:thing lines="Authorization: Basic S3cr3t" ! x`, `gst:thing lines="Authorization: ***" ! x`},
		{`gst:udpsrc caps="application/x-srtp,ssrc=1,srtp-key=(buffer)S3cr3t" ! srtpdec ! y caps="z"`, `gst:udpsrc caps="application/x-srtp,ssrc=1,srtp-key=***" ! srtpdec ! y caps="z"`},
		{"gst:a api-token=S3cr3t ! b auth-token=S3cr3t ! c client_secret=S3cr3t ! d access_key=S3cr3t", "gst:a api-token=*** ! b auth-token=*** ! c client_secret=*** ! d access_key=***"},
		// queries
		{"gst:srtsrc uri=srt://10.0.0.7:7001?mode=caller&passphrase=S3cr3t&latency=9 ! x", "gst:srtsrc uri=srt://10.0.0.7:7001?mode=caller&passphrase=*** ! x"},
		{`gst:srtsrc uri="srt://h:7001?passphrase=a&S3cr3t" ! x`, `gst:srtsrc uri="srt://h:7001?passphrase=***" ! x`},
		{"gst:srtsrc streamid=#!::u=R00t,s=S3cr3t ! x", "gst:srtsrc streamid=*** ! x"},
		{"rtsp://h/ir?token=a@S3cr3t", "rtsp://***"},
		{"rtsp://h/user=R00t_password=S3cr3t_channel=1.sdp", "rtsp://h/user=***"},
		{"http://R00t:S3cr3t@h/ir?Signature=S3cr3t", "http://***@h/ir?Signature=***"},
		{"http://h/ir;pwd=S3cr3t", "http://h/ir;pwd=***"},
		// mistakes
		{"R00t:S3cr3t@10.0.0.7/ir", "***@10.0.0.7/ir"},
		{"rtsp:/R00t:S3cr3t@10.0.0.7/ir", "***@10.0.0.7/ir"},
		{"gts:rtspsrc user-pw=S3cr3t ! x", "gts:rtspsrc user-pw=*** ! x"},
		{"rtspsrc user-pw=S3cr3t", "rtspsrc user-pw=***"},
	} {
		got := Masked(test.address)
		if got != test.want || strings.Contains(got, "S3cr3t") || strings.Contains(got, "R00t") {
			t.Errorf("%s\nis shown as %s\nwant        %s", test.address, got, test.want)
		}
		if twice := Masked(got); strings.Contains(twice, "S3cr3t") {
			t.Errorf("%s: %s", got, twice)
		}
	}
}

func TestMaskedLeavesTheRest(t *testing.T) {
	for _, address := range []string{
		"v4l2:///dev/video0",
		"/dev/video0",
		"/data/key=1/user@home/rec.tiff",
		"simulator:user@home.yaml",
		`gst:aravissrc camera-name=FLIR-A655sc-1234 features="PixelFormat=Mono16 IRFormat=TemperatureLinear10mK" ! video/x-raw,format=GRAY16_LE`,
		`gst:udpsrc address=127.0.0.1 port=5004 caps="application/x-rtp,media=application,clock-rate=90000,encoding-name=X-GST" ! rtpgstdepay`,
		"gst:tcpclientsrc host=127.0.0.1 port=5000 ! gdpdepay",
		"gst:srtsrc uri=srt://10.0.0.7:7001?mode=caller ! gdpdepay",
	} {
		if got := Masked(address); got != address {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}

func TestErrorsTellNoSecret(t *testing.T) {
	const address = `gst:rtspsrc location=rtsp://R00t:S3%40cr3t@h/ir user-pw="ab" ! srtsrc uri=srt://h?passphrase=P4ss&x=1`
	cause := errors.New("cause")
	for _, says := range []string{
		"opening " + address,
		"no answer from rtsp://R00t:S3%40cr3t@h/ir",
		"user R00t:S3@cr3t is not let in",
		`could not set "uri" to "P4ss"`,
		`"S3@cr3t" and "ab" are wrong`,
	} {
		err := masked(address, fmt.Errorf("%s: %w", says, cause))
		for _, secret := range []string{"S3%40cr3t", "S3@cr3t", "P4ss", "ab\"", `"ab`} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q tells %s", err, secret)
			}
		}
		if !errors.Is(err, cause) {
			t.Errorf("%q has no cause", err)
		}
	}
	if err := masked(address, errors.New("the cable about the camera")); err.Error() != "the cable about the camera" {
		t.Errorf("what tells no secret has become %q", err)
	}
}

func TestOpeningTellsNoSecret(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"rtsp://R00t:S3cr3t@127.0.0.1:9/ir",
		"srt://127.0.0.1:9?passphrase=S3cr3t",
		"gst:rtspsrc location=rtsp://R00t:S3cr3t@127.0.0.1:9/ir ! rtpgstdepay",
		"gst:rtspsrc location=rtsp://127.0.0.1:9/ir user-id=R00t user-pw=S3cr3t ! nosuchelement",
		"gst:rtspsrc location=rtsp://127.0.0.1:9/ir latency=S3cr3t R00t ! rtpgstdepay password=S3cr3t",
		"gst:srtsrc uri=srt://127.0.0.1:9?passphrase=S3cr3t ! gdpdepay",
		"gts:srtsrc passphrase=S3cr3t ! gdpdepay",
		"R00t:S3cr3t@127.0.0.1/ir",
		"gst:videotestsrc pattern=S3cr3t password=S3cr3t ! x",
		"gst:filesrc location=/S3cr3t user=R00t key=S3cr3t",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		source, err := Open(ctx, address, Options{})
		cancel()
		if err == nil {
			source.Close()
			t.Errorf("%s: opened", address)
		} else if strings.Contains(err.Error(), "S3cr3t") || strings.Contains(err.Error(), ":R00t") {
			t.Errorf("%s: the error tells it: %v", address, err)
		}
	}
}
