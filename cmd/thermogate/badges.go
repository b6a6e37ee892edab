package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"thermogate/screening/badge"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// passesName is the file in data_dir that says which pass codes are good.
const passesName = "passes.json"

// badgeReaders are the kinds of readers that the config switches on.
func (c config) badgeReaders() (kinds []badge.Kind) {
	for _, one := range []struct {
		kind badge.Kind
		on   bool
	}{
		{badge.Input, len(c.Badge.Inputs) > 0},
		{badge.MQTT, slices.Contains(c.MQTT.Commands, mqtt.Badge)},
		{badge.Webhook, c.Badge.WebhookSecretFile != ""},
		{badge.Camera, c.Camera.Visible != ""},
		{badge.Page, c.Badge.Page},
	} {
		if one.on {
			kinds = append(kinds, one.kind)
		}
	}
	return kinds
}

// openBadges makes the desk of a gate that has readers.
func (s *station) openBadges() (err error) {
	readers := s.config.badgeReaders()
	if len(readers) == 0 {
		return nil
	}
	if s.badges, err = badge.Open(s.config.Badge, s.config.Site, filepath.Join(s.config.DataDir, passesName), s.log); err != nil {
		return err
	}
	var results []string
	for _, result := range badge.Results() {
		results = append(results, string(result))
	}
	for _, kind := range readers {
		s.metrics.ExpectBadges(string(kind), results)
	}
	if s.config.Badge.SiteKeyFile != "" {
		s.broker.HandlePasses(func(payload []byte) error {
			err := s.badges.SetPasses(payload)
			s.tellKeys() // also where the disk did not take them
			return err
		})
	}
	s.tellKeys()
	return nil
}

// tellKeys has the status say by which keys badges are checked, so that the console sees who has not followed a change.
func (s *station) tellKeys() {
	s.tell(func(status *mqtt.Status) { status.Keys.Site, status.Keys.Numbers, status.Keys.Newest = s.badges.Keys() })
}

// readBadges runs the readers that this process reads by itself, until ctx ends. It also tells what time alone decides, while the
// camera delivers nothing.
func (s *station) readBadges(ctx context.Context) {
	var readers sync.WaitGroup
	defer readers.Wait()
	take := func(read badge.Read) { s.takeBadge(read) }
	for i, input := range s.config.Badge.Inputs {
		name := ""
		if i > 0 {
			name = strconv.Itoa(i + 1)
		}
		readers.Go(func() { badge.RunInput(ctx, input, name, take, s.log) })
	}
	if s.config.Camera.Visible != "" {
		readers.Go(func() { s.readCodes(ctx) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.say(func() []event.Event { return s.badges.Tick(now) })
		}
	}
}

// takeBadge takes what any reader has read.
func (s *station) takeBadge(read badge.Read) (result badge.Result) {
	s.say(func() (later []event.Event) {
		result, later = s.badges.Take(read)
		return later
	})
	s.metrics.AddBadge(string(read.Kind), string(result))
	return result
}

// say has events kept that say who earlier verdicts are about.
func (s *station) say(decide func() []event.Event) {
	s.naming.Lock()
	defer s.naming.Unlock()
	if s.over {
		return
	}
	for _, e := range decide() {
		s.verdicts <- verdict{event: s.config.leaves(e)}
	}
}

// endVerdicts is for when no more come.
func (s *station) endVerdicts() {
	s.naming.Lock()
	defer s.naming.Unlock()
	s.over = true
	close(s.verdicts)
}

// obeyBadge takes what a reader has sent over MQTT. Whoever sent it is told why it was refused.
func (s *station) obeyBadge(command mqtt.Command) error {
	message := badge.Message{Number: command.Number, Code: command.Code, Reader: command.Reader, At: command.Read}
	read, err := message.Read(badge.MQTT, command.Came)
	if err != nil {
		return err
	}
	if result := s.takeBadge(read); result != badge.Taken {
		return fmt.Errorf("refused: %s", result)
	}
	return nil
}

// askForCode has the page ask whoever stands before the gate for a code, where they have shown none.
func (s *station) askForCode() {
	if !s.config.Kiosk.AskCode {
		return
	}
	visit, refused := s.badges.Waits()
	s.kiosk.AskForCode(visit, refused, s.config.Door.Output != "" && s.config.Door.Rule == door.OnPassAndCode)
}
