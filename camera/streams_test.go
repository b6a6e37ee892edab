package camera

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"thermogate/testdata"
)

// TestStreamsDeliverExactCounts runs each pipeline of README.md's table against a sender in another process.
func TestStreamsDeliverExactCounts(t *testing.T) {
	t.Parallel()
	const rtp = "application/x-rtp,media=application,clock-rate=90000,encoding-name=X-GST"
	raw := fmt.Sprintf("video/x-raw,format=GRAY16_LE,width=%d,height=%d,framerate=30/1", sentWidth, sentHeight)
	socket := filepath.Join(t.TempDir(), "thermal")
	for i, test := range []struct {
		name, sink, uri string // PORT is a free one
	}{
		{"gdp over TCP", "gdppay ! tcpserversink host=127.0.0.1 port=PORT",
			"gst:tcpclientsrc host=127.0.0.1 port=PORT ! gdpdepay"},
		{"bytes over TCP", "tcpserversink host=127.0.0.1 port=PORT",
			fmt.Sprintf("gst:tcpclientsrc host=127.0.0.1 port=PORT ! rawvideoparse format=gray16-le width=%d height=%d framerate=30/1", sentWidth, sentHeight)},
		{"RTP over UDP", "rtpgstpay config-interval=1 ! udpsink host=127.0.0.1 port=PORT",
			`gst:udpsrc address=127.0.0.1 port=PORT caps="` + rtp + `" ! rtpgstdepay`},
		{"RTP over SRT", `rtpgstpay mtu=1316 config-interval=1 ! srtsink uri=srt://127.0.0.1:PORT?mode=listener&passphrase=S3cr3tS3cr3t wait-for-connection=false`,
			"gst:srtsrc uri=srt://127.0.0.1:PORT?mode=caller&passphrase=S3cr3tS3cr3t ! " + rtp + " ! rtpgstdepay"},
		{"gdp over SRT", "gdppay ! srtsink uri=srt://127.0.0.1:PORT?mode=listener wait-for-connection=false",
			"gst:srtsrc uri=srt://127.0.0.1:PORT?mode=caller ! gdpdepay"},
		{"shared memory", "shmsink socket-path=" + socket + " wait-for-connection=false shm-size=4000000",
			"gst:shmsrc socket-path=" + socket + " is-live=true ! " + raw},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			port := fmt.Sprint(testdata.FreePort(t))
			startSender(t, 10+i, "gray16-le", strings.ReplaceAll(test.sink, "PORT", port))
			source := openSoon(t, strings.ReplaceAll(test.uri, "PORT", port))
			if name := source.Info().Name; strings.Contains(name, "S3cr3t") {
				t.Errorf("the camera's name is %s", name)
			}
			receiveExactly(t, source, 10+i)
		})
	}
}

func receiveExactly(t *testing.T, source Source, sender int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var frame Frame
	for last, n := -1, 0; n < 20; n++ {
		if err := source.Read(ctx, &frame); err != nil {
			t.Fatal(err)
		}
		sent := checkSent(t, &frame, sender)
		if sent <= last {
			t.Fatalf("frame %d came after frame %d", sent, last)
		}
		last = sent
	}
}

// rtspServer is GStreamer's own, with a user and a password, that plays a pipeline to each who asks for it.
const rtspServer = `
import sys, gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import Gst, GstRtspServer, GLib
if len(sys.argv) < 2: sys.exit(0)
Gst.init(None)
port, pipeline = sys.argv[1:]
server, media, auth = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory(), GstRtspServer.RTSPAuth()
token, permissions = GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
token.set_string('media.factory.role', 'viewer')
auth.add_basic(GstRtspServer.RTSPAuth.make_basic('R00t', 'S3cr3t'), token)
permissions.add_permission_for_role('viewer', 'media.factory.access', True)
permissions.add_permission_for_role('viewer', 'media.factory.construct', True)
server.set_address('127.0.0.1')
server.set_service(port)
server.set_auth(auth)
media.set_launch('( ' + pipeline + ' )')
media.set_permissions(permissions)
server.get_mount_points().add_factory('/thermal', media)
server.attach(None)
GLib.MainLoop().run()
`

// systemPython is Debian's, which has Debian's bindings.
const systemPython = "/usr/bin/python3"

func TestRTSPDeliversExactCounts(t *testing.T) {
	t.Parallel()
	if err := exec.Command(systemPython, "-c", rtspServer).Run(); err != nil {
		t.Skip("needs GStreamer's RTSP server (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0):", err)
	}
	port := fmt.Sprint(testdata.FreePort(t))
	server := exec.Command(systemPython, "-c", rtspServer, port, sent(t, 30, "gray16-le")+" ! rtpgstpay name=pay0 config-interval=1")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	uri := "gst:rtspsrc location=rtsp://R00t:S3cr3t@127.0.0.1:" + port + "/thermal protocols=tcp latency=0 ! rtpgstdepay"
	receiveExactly(t, openSoon(t, uri), 30)

	_, err := Open(t.Context(), strings.Replace(uri, "S3cr3t", "S3cr3tS3cr3t", 1), Options{})
	if err == nil || !strings.Contains(err.Error(), "nauthorized") || strings.Contains(err.Error(), "S3cr3t") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestWrongPassphraseIsTold(t *testing.T) {
	t.Parallel()
	port := testdata.FreePort(t)
	startSender(t, 31, "gray16-le", fmt.Sprintf("rtpgstpay mtu=1316 ! srtsink uri=srt://127.0.0.1:%d?mode=listener&passphrase=S3cr3tS3cr3t wait-for-connection=false", port))
	_, err := Open(t.Context(), fmt.Sprintf("gst:srtsrc uri=srt://127.0.0.1:%d?mode=caller&passphrase=wrongwrong ! gdpdepay", port), Options{})
	if err == nil || !strings.Contains(err.Error(), "is the sender running? (Failed to authenticate: Incorrect passphrase") || strings.Contains(err.Error(), "wrongwrong") {
		t.Errorf("the error is %v", err)
	}
}

// What OpenCV would take for the rest of a picture is whatever lies behind it in memory.
func TestPicturesThatAreTooShortEndTheStream(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"GRAY16_LE", "YUY2"} {
		uri := "gst:fakesrc is-live=true sizetype=fixed sizemax=100 ! video/x-raw,format=" + format + ",width=256,height=384,framerate=9/1"
		source, err := Open(t.Context(), uri, Options{})
		if err == nil {
			source.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "its pictures have 100 bytes, 256 by 384 pixels take 196608") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestRowsOfAnOddNumberOfPixelsAreWhole(t *testing.T) {
	t.Parallel()
	source, err := Open(t.Context(), "gst:videotestsrc is-live=true pattern=gradient ! video/x-raw,format=GRAY16_LE,width=161,height=120", Options{EightBit: true})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var frame Frame
	if err := source.Read(t.Context(), &frame); err != nil {
		t.Fatal(err)
	}
	for y := range frame.Height {
		row := frame.Counts[y*frame.Width : (y+1)*frame.Width]
		if first := row[0]; slices.ContainsFunc(row, func(count uint16) bool { return count != first }) {
			t.Fatalf("row %d of an upright gradient is %v", y, row)
		}
	}
}
