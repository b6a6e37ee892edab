package main

//lint:file-ignore SA1019 Grafana 11 reads dashboards in this form alone from files, and newer ones read it as well

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

type (
	board = dashboard.DashboardBuilder
	file  = dashboard.Dashboard // as it stands in a file
)

// over is a dashboard with a choice of Prometheus and the given ones, and with links to the other dashboards.
func over(uid, title, about string, choices ...*dashboard.QueryVariableBuilder) *board {
	d := dashboard.NewDashboardBuilder(title).Uid(uid).Description(about).Tags([]string{"thermogate"}).
		Time("now-6h", "now").Refresh("30s").Timezone("browser").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, choice := range choices {
		d.WithVariable(choice)
	}
	return d.Link(dashboard.NewDashboardLinkBuilder("thermogate").Type(dashboard.DashboardLinkTypeDashboards).
		Tags([]string{"thermogate"}).KeepTime(true).IncludeVars(true))
}

// choice is of one of the values that a label has.
func choice(name, label, values string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).
		Query(dashboard.StringOrMap{String: &values}).Definition(values).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortNaturalAsc)
}

// choices is of some of them, or all.
func choices(name, label, values string) *dashboard.QueryVariableBuilder {
	all := dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: dashboard.StringOrArrayOfString{String: new("$__all")}}
	return choice(name, label, values).Multi(true).IncludeAll(true).AllValue(".*").Current(all)
}

func row(title string) *dashboard.RowBuilder { return dashboard.NewRowBuilder(title) }

// number gives each panel an id, which an address that leads to it has in it.
func number(d *file) {
	for i := range d.Panels {
		id := uint32(i + 1)
		if row := d.Panels[i].RowPanel; row != nil {
			row.Id = id
		} else {
			d.Panels[i].Panel.Id = &id
		}
	}
}
