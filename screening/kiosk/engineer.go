package kiosk

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"thermogate/screening/event"
)

// SetConsolePages tells the engineers' page where guards work. An address of all networks, such as https://[::]:8090, is
// that of a console on the gate's own machine, and one of this machine alone is a link only for who is at it.
func (k *Kiosk) SetConsolePages(pages *url.URL) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.console = pages
}

// consoleFor is the link to the console for whoever asks for a page, empty where there is none for them.
func (k *Kiosk) consoleFor(r *http.Request) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.console == nil {
		return ""
	}
	there, here := *k.console, (&url.URL{Host: r.Host}).Hostname()
	switch address, err := netip.ParseAddr(there.Hostname()); {
	case err == nil && address.IsUnspecified():
		there.Host = net.JoinHostPort(here, there.Port())
	case err == nil && address.IsLoopback() && !isLocal(here):
		return ""
	}
	return there.String()
}

func isLocal(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// stageMillis is how long each stage takes of late, in milliseconds.
type stageMillis struct {
	Radiometry float64 `json:"radiometry"`
	Reference  float64 `json:"reference"`
	Face       float64 `json:"face"`
	Track      float64 `json:"track"`
	Measure    float64 `json:"measure"`
	Policy     float64 `json:"policy"`
}

// newestShare is how much the newest frame counts in the time of a stage.
const newestShare = 0.1

// observe follows the stages of a frame. One that has not run, such as the measurement of nobody, keeps its time.
func (s *stageMillis) observe(took event.StageTimes) {
	for _, stage := range []struct {
		millis *float64
		took   time.Duration
	}{{&s.Radiometry, took.Radiometry}, {&s.Reference, took.Reference}, {&s.Face, took.Face}, {&s.Track, took.Track},
		{&s.Measure, took.Measure}, {&s.Policy, took.Policy}} {
		millis := stage.took.Seconds() * 1000
		switch {
		case stage.took == 0:
		case *stage.millis == 0:
			*stage.millis = millis
		default:
			*stage.millis += newestShare * (millis - *stage.millis)
		}
	}
}

var turnedAway = phrase{
	"服务器拒绝这台闸机：它在控制台被吊销，或者另一台设备已用它的名义接入。记录留在本机。请向管理员要一个链接（控制台“闸机”页的“接入”），交给 thermogate join",
	"refuses this gate: it was revoked in the console, or another box has joined as it. Its events stay here. Ask an administrator for a link (page Gates of the console), and give it to thermogate join",
}
