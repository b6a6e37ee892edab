package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"thermogate/screening/console/passes"
	"thermogate/screening/mqtt"
)

// passesEvery is how often lists of codes are looked at where nothing has changed: companies come and go by the day.
const passesEvery = 30

// tellPasses brings to gates which pass codes of their site are good: at first to all, for the broker may have lost it, then what
// is new, and to gates that are.
func (i *Ingest) tellPasses(ctx context.Context, conn *mqtt.KeptSession) {
	said := map[mqtt.Gate][]byte{}
	second := time.NewTicker(i.timing.second)
	defer second.Stop()
	var news, gates int64 = -1, -1
	for looks, failed, again := 0, "", true; ; looks++ {
		now, heard, stale := i.store.PassNews(), i.newGates.Load(), looks%passesEvery == 0
		if again || stale || now != news || heard != gates {
			err := i.tellPassesOnce(ctx, conn, said, now != news || stale)
			again, gates = err != nil || heard != gates, heard // a gate may be in the store only after this look
			if err == nil {
				news, failed = now, ""
			} else if ctx.Err() == nil && err.Error() != failed {
				failed = err.Error()
				i.log.Warn("gates are not told which pass codes are good", "error", err)
			}
		}
		select {
		case <-second.C:
		case <-ctx.Done():
			return
		}
	}
}

// tellPassesOnce tells gates what they have not been told. Lists are made anew where there is news.
func (i *Ingest) tellPassesOnce(ctx context.Context, conn *mqtt.KeptSession, said map[mqtt.Gate][]byte, news bool) error {
	sites, err := i.store.SitesWithCodes(ctx)
	if err != nil || len(sites) == 0 {
		return err
	}
	gates, err := i.store.GatesOf(ctx, sites)
	if err != nil {
		return err
	}
	var errs []error
	sent := map[mqtt.Gate]func(context.Context) error{} // all at once: one after the other would take long with many
	lists := map[string][]byte{}                        // nil where there can be none
	for _, gate := range gates {
		if told := said[gate] != nil; told && !news || !i.store.Revoked(gate).At.IsZero() {
			continue
		}
		list, made := lists[gate.Site]
		if !made {
			if list, err = i.passes.List(ctx, gate.Site, time.Now()); err == nil && len(list) > passes.MaxList {
				err = fmt.Errorf("the list has %d bytes, more than %d: too many codes are revoked; change the signing key on the page People, so that all of before are void", len(list), passes.MaxList)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("the pass codes of %s: %w", gate.Site, err))
				list = nil
			}
			lists[gate.Site] = list
		}
		if list != nil && !bytes.Equal(said[gate], list) {
			sent[gate] = conn.Send(gate.PassesTopic(), true, list)
		}
	}
	for gate, arrived := range sent {
		if err := arrived(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		said[gate] = lists[gate.Site]
	}
	return errors.Join(errs...)
}
