package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

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
	var news int64 = -1
	for looks, failed := 0, ""; ; looks++ {
		now, stale := i.store.PassNews(), looks%passesEvery == 0
		if err := i.tellPassesOnce(ctx, conn, said, now != news || stale); err == nil {
			news, failed = now, ""
		} else if ctx.Err() == nil && err.Error() != failed {
			failed = err.Error()
			i.log.Warn("gates are not told which pass codes are good", "error", err)
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
	if err != nil {
		return err
	}
	var errs []error
	for _, site := range sites {
		names, err := i.store.GateNames(ctx, site)
		if err != nil {
			return err
		}
		var list []byte
		for _, name := range names {
			gate := mqtt.Gate{Site: site, Name: name}
			if told := said[gate] != nil; told && !news || !i.store.Revoked(gate).At.IsZero() {
				continue
			}
			if list == nil {
				if list, err = i.passes.List(ctx, site, time.Now()); err != nil {
					errs = append(errs, fmt.Errorf("the pass codes of %s: %w", site, err))
					break
				}
			}
			if bytes.Equal(said[gate], list) {
				continue
			}
			if err := conn.Send(gate.PassesTopic(), true, list)(ctx); err != nil {
				errs = append(errs, err)
				continue
			}
			said[gate] = list
		}
	}
	return errors.Join(errs...)
}
