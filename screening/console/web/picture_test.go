package web

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"thermogate/camera/radiometry"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/screening/thermogram"
)

// picture stores a picture of an alert: somebody before a wall, beside a reference source.
func (c *console) picture(gate mqtt.Gate, id string) {
	c.t.Helper()
	image := &radiometry.Image{Width: 120, Height: 160, Celsius: make([]float32, 120*160)}
	for i := range image.Celsius {
		x, y := float64(i%120), float64(i/120)
		head, body := math.Hypot((x-75)/15, (y-60)/20), math.Hypot((x-75)/38, (y-150)/60)
		image.Celsius[i] = float32(21 + 13/(1+math.Exp(12*(head-1))) + 6/(1+math.Exp(9*(body-1))) + 15/(1+math.Exp(3*(math.Hypot(x-16, y-40)-6))))
	}
	body, err := thermogram.Picture{Image: image, Face: event.Box{X: 60, Y: 40, W: 30, H: 40},
		Reference: event.ReferenceSource{Found: true, X: 16, Y: 40, Radius: 6, CorrectionCelsius: 0.4}}.Encode(mqtt.MaxSnapshotBytes)
	if err != nil {
		c.t.Fatal(err)
	}
	one, err := store.NewSnapshot(gate, id, body, time.Now())
	if err == nil {
		err = c.store.AddSnapshots(c.t.Context(), []store.Snapshot{one})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestPictureOfAnAlert(t *testing.T) {
	c := start(t)
	with, without := c.alert(north), c.alert(north)
	c.picture(north, with)
	guard := c.client("lina", c.account("lina", "李娜", store.Guard, north))
	stranger := c.client("wang", c.account("wang", "王强", store.Guard, far))

	if _, page := guard.get("/alerts/" + with); !strings.Contains(page, `src="/alerts/`+with+`/picture"`) || strings.Contains(page, "No picture") {
		t.Errorf("the page has no picture:\n%s", page)
	}
	if _, page := guard.get("/alerts/" + without); !strings.Contains(page, "No picture") || strings.Contains(page, "<img") {
		t.Errorf("the page does not say that there is none:\n%s", page)
	}
	answer, err := guard.Get(c.server.URL + "/alerts/" + with + "/picture")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := answer.Header; answer.StatusCode != http.StatusOK || got.Get("Content-Type") != "image/png" || got.Get("Cache-Control") != "no-store" ||
		got.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the picture comes with %s, %v", answer.Status, got)
	}
	for who, get := range map[string]func() (int, string){
		"another site's guard": func() (int, string) { return stranger.get("/alerts/" + with + "/picture") },
		"an alert without":     func() (int, string) { return guard.get("/alerts/" + without + "/picture") },
		"no alert":             func() (int, string) { return guard.get("/alerts/x/picture") },
	} {
		if status, body := get(); status != http.StatusNotFound || strings.Contains(body, "PNG\r\n") {
			t.Errorf("%s: %d", who, status)
		}
	}
	answer, err = http.Get(c.server.URL + "/alerts/" + with + "/picture")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got == "image/png" {
		t.Error("everybody gets the picture")
	}
}

func TestBrowserPictureOfAnAlert(t *testing.T) {
	c := start(t)
	c.online(north)
	with, without := c.alert(north), c.alert(north)
	c.picture(north, with)
	b := c.browser(phone)
	b.logIn("lina", c.account("lina", "李娜", store.Guard, mqtt.Gate{}), "zh")
	for _, size := range [][2]int64{phone, desktop} {
		b.do(chromedp.EmulateViewport(size[0], size[1]))
		for _, lang := range []string{"zh", "en"} {
			b.open("/alerts/" + with + "?lang=" + lang)
			b.wait("the picture", `document.querySelector(".picture")?.naturalWidth === 360`)
			b.accessible("alert with a picture, " + lang)
			evaluate[bool](b, `(document.querySelector(".picture").scrollIntoView({ block: "end" }), true)`)
			b.shoot("alert-picture-" + lang + "-" + map[int64]string{phone[0]: "phone", desktop[0]: "desktop"}[size[0]])
		}
	}
	b.open("/alerts/" + without + "?lang=zh")
	b.says("没有热像")
}
