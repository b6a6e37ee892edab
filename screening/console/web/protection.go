package web

import (
	"thermogate/screening/console/accounts"
	"thermogate/screening/console/store"
)

// protectionPage is the data-protection sheet of a site: what is kept of people, what for, for how long, and who sees it. All of
// it follows from the configuration, the accounts and what was decided on the pages.
type protectionPage struct {
	office
	Keeping      store.Keeping
	PeopleDays   int
	SnapshotDays int
	Roles        []roleCount
	Used         bool // people are known here: the site has keys, or a list
	Listed       int
	District     bool // a district is told
	Deletions    []store.Forgotten
}

// roleCount is how many accounts see what a role sees.
type roleCount struct {
	Role  store.Role
	Count int
}

func showProtection(v *visit) {
	o, ok := v.office()
	if !ok {
		return
	}
	page := protectionPage{office: o, PeopleDays: v.store.KeepPeopleDays(), SnapshotDays: v.store.KeepSnapshotDays(), District: v.cfg.Told != nil}
	if o.Site == "" {
		v.show("protection", page)
		return
	}
	if err := page.read(v); err != nil {
		v.fail(err)
		return
	}
	v.show("protection", page)
}

func (p *protectionPage) read(v *visit) error {
	keepings, err := v.store.Keepings(v.ctx())
	if err != nil {
		return err
	}
	p.Keeping = store.Keeping{Site: p.Site, Months: v.store.KeepMonths()}
	for _, k := range keepings {
		if k.Site == p.Site {
			p.Keeping = k
		}
	}
	all, err := v.store.Accounts(v.ctx())
	if err != nil {
		return err
	}
	counts := map[store.Role]int{}
	for _, a := range all {
		if !a.Locked && (a.Scope.Site == "" || a.Scope.Site == p.Site) {
			counts[a.Role]++
		}
	}
	for _, role := range []store.Role{store.Guard, store.Manager, store.Administrator, store.Personnel, store.OfCompany} {
		p.Roles = append(p.Roles, roleCount{role, counts[role]})
	}
	if p.Listed, err = v.store.CountPeople(v.ctx(), store.PeopleFilter{Site: p.Site}, v.now); err != nil {
		return err
	}
	keys, err := v.store.SiteKeys(v.ctx(), p.Site)
	if err != nil {
		return err
	}
	p.Used = p.Listed > 0 || len(keys) > 0
	if v.account.Role == store.Personnel || accounts.May(v.account.Role, store.Administrator) {
		p.Deletions, err = v.store.Forgotten(v.ctx(), p.Site)
		p.Deletions = p.Deletions[:min(len(p.Deletions), deletionsShown)]
	}
	return err
}
