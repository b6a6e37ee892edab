package ingest

import (
	"bytes"
	"image"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"thermogate/screening/console/store"
	"thermogate/screening/mqtt"
)

// TestPicturesComeIn has a gate send pictures with an alert, and what is none.
func TestPicturesComeIn(t *testing.T) {
	b := startBroker(t)
	p := startPuppet(t, b.address)
	s := openStore(t, filepath.Join(t.TempDir(), "console.db"))
	i, _ := run(t, b.address, s)
	eventually(t, "the console is there", func() bool { return i.State().Connected })
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	ids := []string{newIDs()(), newIDs()(), newIDs()()}
	p.publish("snapshot/"+ids[0], false, picture.String())
	p.publish("snapshot/"+ids[1], false, "<html>")
	p.publish("snapshot/"+ids[2], false, picture.String()+strings.Repeat("x", mqtt.MaxSnapshotBytes))
	p.event(1)
	has := func(id string) bool {
		_, err := s.Snapshot(t.Context(), store.Alert{Gate: north, Event: id, Latest: id})
		return err == nil
	}
	eventually(t, "the picture is there, and what comes after it", func() bool { return len(events(t, s)) == 1 && has(ids[0]) })
	if !has(ids[0]) || has(ids[1]) || has(ids[2]) {
		t.Errorf("pictures: %v %v %v; only the first is one", has(ids[0]), has(ids[1]), has(ids[2]))
	}
	if got := i.State().Refused; got != 1 {
		t.Errorf("%d messages were refused, not one", got)
	}
	if held := events(t, s); len(held) != 1 {
		t.Errorf("a picture became an event: %v", held)
	}
}

func TestPicturesThatWaitAreBounded(t *testing.T) {
	in := &inbox{news: make(chan struct{}, 1)}
	d := func(topic string) mqtt.Delivery {
		return mqtt.Delivery{Message: mqtt.Message{Topic: "thermogate/plant/north/" + topic, Payload: []byte("x")}}
	}
	for range 2 * maxPictures {
		in.add(d("snapshot/01J"))
		in.add(d("screening/pass"))
	}
	if batch := in.take(1000); len(batch) != 3*maxPictures {
		t.Errorf("%d messages wait", len(batch))
	}
	in.add(d("snapshot/01J"))
	if batch := in.take(1000); len(batch) != 1 {
		t.Error("there is no room for a picture after all were taken")
	}
}
