package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/store"
)

// auditLimit is how many lines a page of the audit has.
const auditLimit = 100

type auditPage struct {
	Query auditQuery
	Deeds []store.Deed
	Lines []store.AuditLine
	Next  string // address of the next page; empty where this is the last
	// End is where the audit ends now; where somebody asked, Verified lines before it are as they were noted, or Tampered says which is not.
	End      store.AuditEnd
	Verified int64
	Tampered string
}

// auditQuery is the filter as it stands in the address.
type auditQuery struct{ What, Account, From, To string }

func showAudit(v *visit) {
	values := v.r.URL.Query()
	query := auditQuery{values.Get("what"), strings.TrimSpace(values.Get("account")), values.Get("from"), values.Get("to")}
	page := auditPage{Query: query, Deeds: store.Deeds}
	filter := store.AuditFilter{Scope: v.account.Scope, What: store.Deed(query.What), Account: query.Account, Before: values.Get("before")}
	for _, day := range []struct {
		text  string
		to    *time.Time
		after int // days
	}{{query.From, &filter.From, 0}, {query.To, &filter.To, 1}} {
		if day.text == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, day.text, v.store.Zone(v.account.Scope.Site))
		if err != nil {
			v.showWith(http.StatusBadRequest, "audit", v.tongue.Say("筛选条件里的日期不对。", "A date in the filter can't be read."), page)
			return
		}
		*day.to = at.AddDate(0, 0, day.after)
	}
	lines, err := v.store.Audit(v.ctx(), filter, auditLimit+1)
	if err != nil {
		v.fail(err)
		return
	}
	if len(lines) > auditLimit {
		lines = lines[:auditLimit]
		next := url.Values{"before": {lines[auditLimit-1].ID}}
		for key, value := range map[string]string{"what": query.What, "account": query.Account, "from": query.From, "to": query.To} {
			if value != "" {
				next.Set(key, value)
			}
		}
		page.Next = "/admin/audit?" + next.Encode()
	}
	page.Lines = lines
	if err := page.verify(v); err != nil {
		v.fail(err)
		return
	}
	v.show("audit", page)
}

func (p *auditPage) verify(v *visit) (err error) {
	if v.r.URL.Query().Get("verify") == "" {
		p.End, err = v.store.AuditEnd(v.ctx())
		return err
	}
	p.End, p.Verified, err = v.store.VerifyAudit(v.ctx())
	var tampered *store.TamperError
	if errors.As(err, &tampered) {
		p.Tampered = tampered.Error()
		return nil
	}
	return err
}

// Address leads to what a line is about: an event, which is of a gate, other than a company, a list or somebody on one, or a hold.
func (auditPage) Address(line store.AuditLine) string {
	switch _, err := ulid.ParseStrict(line.About); {
	case err != nil || line.Scope.Name == "":
		return ""
	case line.What == store.Held || line.What == store.EndedHold:
		return "/admin/retention#holds"
	}
	return "/events/" + line.About
}

// Deed is what somebody did, in full.
func (t tongue) Deed(line store.AuditLine) string {
	var words []string
	for word := range strings.FieldsSeq(line.Detail) {
		words = append(words, t.Word(word)) // roles, and ways to log in; names stay
	}
	detail := strings.Join(words, " ")
	switch line.What {
	case store.MadeKey:
		detail = t.of(keyNames[store.KeyKind(line.Detail)])
	case store.ChangedSettings, store.ChangedShifts, store.Saw, store.Exported, store.Held, store.EndedHold, store.DeletedEvent, store.BackedUp, store.Restored, store.TrustedClock, store.AskedCompany, store.DecidedCompany, store.ListedPeople, store.UnlistedPeople, store.ForgotPerson:
		detail = line.Detail
	}
	if detail == "" {
		return t.Word(line.What)
	}
	return t.Word(line.What) + t.Say("：", ": ") + detail
}
