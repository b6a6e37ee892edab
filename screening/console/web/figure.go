package web

import (
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// A report has up to a thousand figures, each with an address of the people whom it counts. These are short ones, and lead to the
// history: with all of a filter in each, addresses would be most of the page.

// everybody is the figure that counts all people.
const everybody = "people"

// figureAddress is where the people are whom a figure counts of a site or a gate, "site" or "site/gate", from one time to another.
func figureAddress(figure, of string, from, to time.Time) string {
	if figure == everybody {
		figure = ""
	}
	begin, end := from.Unix()/60, to.Unix()/60
	return "/f/" + shortOf(of) + "/" + strconv.FormatInt(begin, 36) + "-" + strconv.FormatInt(end-begin, 36) + "/" + figure
}

// shortOf stands for a site or a gate in an address. That two have the same one is as likely as a broken disk.
func shortOf(name string) string {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return strconv.FormatUint(hash.Sum64(), 36)
}

// showFigure leads to the people whom a figure counts.
func showFigure(v *visit) {
	begin, length, _ := strings.Cut(v.r.PathValue("in"), "-")
	from, wrong := strconv.ParseInt(begin, 36, 40)
	minutes, alsoWrong := strconv.ParseInt(length, 36, 40)
	if wrong != nil || alsoWrong != nil {
		v.missing()
		return
	}
	switch of, ok, err := v.ofShort(v.r.PathValue("of")); {
	case err != nil:
		v.fail(err)
	case !ok:
		v.missing()
	default:
		v.redirect(historyOf(v.r.PathValue("figure"), of, time.Unix(60*from, 0), time.Unix(60*(from+minutes), 0), v.store.Zone(of.Site)))
	}
}

// ofShort is the site or the gate that a short one stands for.
func (v *visit) ofShort(short string) (of mqtt.Gate, ok bool, err error) {
	sites, err := v.sitesInScope()
	if err != nil || len(sites) == 0 {
		return of, false, err
	}
	all, err := v.store.GatesOf(v.ctx(), sites)
	all = slices.DeleteFunc(all, func(g mqtt.Gate) bool { return !v.account.Sees(g) })
	for _, site := range sites {
		all = append(all, mqtt.Gate{Site: site})
	}
	i := slices.IndexFunc(all, func(g mqtt.Gate) bool { return shortOf(keyOf(g)) == short })
	if err != nil || i < 0 {
		return of, false, err
	}
	return all[i], true, nil
}

// keyOf is "site" or "site/gate", which gateOf reads.
func keyOf(of mqtt.Gate) string {
	if of.Name == "" {
		return of.Site
	}
	return of.Site + "/" + of.Name
}

// historyOf is the address of the history of the people whom a figure counts.
func historyOf(figure string, of mqtt.Gate, from, to time.Time, zone *time.Location) string {
	query := url.Values{"people": {"yes"}, "gate": {keyOf(of)}, "from": {minute(from, zone)}, "to": {minute(to, zone)}}
	switch figure {
	case "", everybody:
	case "again":
		query.Set("people", "again")
	case string(event.Pass), string(event.Alert), string(event.Inconclusive):
		query.Set("outcome", figure)
	case string(mqtt.Confirmed), string(mqtt.FalseAlert), string(mqtt.Gone), store.OpenAlert:
		query.Set("outcome", string(event.Alert))
		query.Set("state", figure)
	default:
		query.Set("outcome", string(event.Inconclusive))
		query.Set("reason", figure)
	}
	return "/history?" + query.Encode()
}
