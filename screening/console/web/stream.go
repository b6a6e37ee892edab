package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
)

const (
	maxStreams = 512
	// Changes that come in quick succession share a look at the store.
	lookInterval = 150 * time.Millisecond
	// What changes with time alone is looked for as often.
	lookAgain = 2 * time.Second
	// A page takes a stream that is silent for three of these for broken.
	heartbeat = 4 * time.Second
	// A stream begins anew after it, with a look at whether its browser is still logged in.
	streamTime   = 10 * time.Minute
	writeTimeout = 5 * time.Second
	// A page that sounds alerts says so twice in this time.
	soundTime = 75 * time.Second
	maxTabs   = 2048
)

// keepLive takes a snapshot after every change, and tells the streams.
func (p *Pages) keepLive(ctx context.Context) error {
	news, stop := p.store.Watch()
	defer stop()
	failing := false
	for {
		now, err := p.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing {
			p.log.Error("the pages stand still: the store can't be read", "error", err)
		}
		if failing = err != nil; !failing {
			p.publish(now)
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-time.After(lookInterval):
		case <-ctx.Done():
		}
		select {
		case <-news:
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
		again.Stop()
	}
}

func (p *Pages) publish(now *snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
	close(p.changed)
	p.changed = make(chan struct{})
	for tab, one := range p.sounding {
		if now.at.Sub(one.at) > soundTime {
			delete(p.sounding, tab)
		}
	}
}

func (p *Pages) newest() (*snapshot, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.changed
}

// serveStream tells a browser what changes, as server-sent events: now, and beat where nothing does. A browser that was
// away and has missed nothing is told nothing.
func serveStream(v *visit) {
	ctx, cancel := context.WithTimeout(v.ctx(), streamTime)
	defer cancel()
	defer v.streams.Take(listen.AddressOf(v.r), cancel)()
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no") // for proxies
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Time{}) // a limit for requests must not end a stream
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	known := v.r.Header.Get("Last-Event-ID")
	text := "retry: 1000\n\n"
	for {
		now, changed := v.newest()
		if now != nil {
			if news := v.pageOf(now, v.account).message; news.id != known {
				known = news.id
				text += fmt.Sprintf("id: %s\nevent: now\ndata: %s\n\n", news.id, news.body)
			}
		}
		if text != "" {
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every server has deadlines
			if _, err := v.w.Write([]byte(text)); err != nil || control.Flush() != nil {
				return
			}
			text = ""
		}
		select {
		case <-changed:
		case <-beat.C:
			if account, err := v.accounts.Still(v.r); err != nil || account.Version != v.account.Version {
				return // logged out, or may do something else now
			}
			text = "event: beat\ndata:\n\n"
		case <-ctx.Done():
			return
		case <-v.closed:
			return
		}
	}
}

// soundingTab is a page that sounds alerts.
type soundingTab struct {
	account store.Account
	at      time.Time
}

// noteSound hears of a page whether it can sound an alert.
func noteSound(v *visit) {
	tab := v.account.Name + " " + v.r.FormValue("tab")
	v.mu.Lock()
	if v.r.FormValue("on") != "true" {
		delete(v.sounding, tab)
	} else if len(tab) < 200 && len(v.sounding) < maxTabs {
		v.sounding[tab] = soundingTab{v.account, v.now}
	}
	v.mu.Unlock()
	v.w.WriteHeader(http.StatusNoContent)
}

// sounds tells whether somewhere a page sounds the alerts of a gate.
func (p *Pages) sounds(gate mqtt.Gate, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tab := range p.sounding {
		if tab.account.Sees(gate) && now.Sub(tab.at) <= soundTime {
			return true
		}
	}
	return false
}
