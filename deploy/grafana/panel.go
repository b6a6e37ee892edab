package main

import (
	"maps"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// panel is what all kinds of panels have.
type panel struct {
	kind          cog.Builder[dashboard.Panel]
	title, about  string
	width, height uint32 // of 24, and in Grafana's rows of 30 pixels
	unit          string
	decimals      *float64
	queries       []query
	thresholds    []dashboard.Threshold
	mappings      []dashboard.ValueMapping
	columns       []column          // of a table, in order
	colours       map[string]string // of series, by what they are called
}

// query is one in Prometheus' language, and what its series are called.
type query struct {
	expr, legend string
	now          bool   // only the end of the time range is asked for
	unit         string // where it is not that of the panel
}

// column is one of a table: a label, or the value of a query.
type column struct {
	from, name string
	unit       string
	thresholds []dashboard.Threshold
	mappings   []dashboard.ValueMapping
	link       string
}

// Build is for cog.Builder.
func (p panel) Build() (dashboard.Panel, error) {
	built, err := p.kind.Build()
	if err != nil {
		return built, err
	}
	built.Title, built.Description, built.Datasource = &p.title, &p.about, &source
	built.GridPos = &dashboard.GridPos{W: p.width, H: p.height}
	for i, q := range p.queries {
		target, err := q.build(refID(i), p.columns != nil)
		if err != nil {
			return built, err
		}
		built.Targets = append(built.Targets, target)
	}
	if built.FieldConfig == nil {
		built.FieldConfig = dashboard.NewFieldConfigSource()
	}
	values := &built.FieldConfig.Defaults
	values.Decimals, values.Mappings = p.decimals, p.mappings
	if p.unit != "" {
		values.Unit = &p.unit
	}
	if p.thresholds != nil {
		values.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: p.thresholds}
	}
	for _, name := range slices.Sorted(maps.Keys(p.colours)) {
		override(&built, dashboard.MatcherConfig{Id: "byName", Options: name},
			dashboard.DynamicConfigValue{Id: "color", Value: map[string]string{"mode": "fixed", "fixedColor": p.colours[name]}})
	}
	for i, q := range p.queries {
		if q.unit != "" {
			override(&built, dashboard.MatcherConfig{Id: "byFrameRefID", Options: refID(i)}, dashboard.DynamicConfigValue{Id: "unit", Value: q.unit})
		}
	}
	if p.columns != nil {
		p.arrange(&built)
	}
	return built, nil
}

// refID is what Grafana calls a query.
func refID(i int) string { return string(rune('A' + i)) }

func override(built *dashboard.Panel, of dashboard.MatcherConfig, set ...dashboard.DynamicConfigValue) {
	built.FieldConfig.Overrides = append(built.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{Matcher: of, Properties: set})
}

func (q query) build(id string, asTable bool) (variants.Dataquery, error) {
	target := prometheus.NewDataqueryBuilder().RefId(id).Expr(q.expr).LegendFormat(q.legend).Datasource(source)
	if q.now {
		target.Instant()
	} else {
		target.Range()
	}
	if asTable {
		target.Format(prometheus.PromQueryFormatTable)
	}
	return target.Build()
}

// arrange joins the queries of a table by their labels, and puts its columns in order.
func (p panel) arrange(built *dashboard.Panel) {
	index, names, exclude := map[string]any{}, map[string]any{}, map[string]any{"Time": true}
	for i, c := range p.columns {
		if c.name == "" {
			exclude[c.from] = true
			continue
		}
		index[c.from], names[c.from] = i, c.name
		var set []dashboard.DynamicConfigValue
		if c.unit != "" {
			set = append(set, dashboard.DynamicConfigValue{Id: "unit", Value: c.unit})
		}
		if c.thresholds != nil {
			set = append(set, dashboard.DynamicConfigValue{Id: "thresholds", Value: dashboard.ThresholdsConfig{
				Mode: dashboard.ThresholdsModeAbsolute, Steps: c.thresholds,
			}}, coloured)
		}
		if c.mappings != nil {
			set = append(set, dashboard.DynamicConfigValue{Id: "mappings", Value: c.mappings}, coloured)
		}
		if c.link != "" {
			set = append(set, dashboard.DynamicConfigValue{Id: "links", Value: []map[string]string{{"title": "Open", "url": c.link}}})
		}
		if set != nil {
			override(built, dashboard.MatcherConfig{Id: "byName", Options: c.name}, set...)
		}
	}
	built.Transformations = []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "organize", Options: map[string]any{"excludeByName": exclude, "indexByName": index, "renameByName": names}},
	}
}

var coloured = dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]any{"type": "color-text"}}

// source is the Prometheus that is chosen at the top of a dashboard.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// statOf shows the latest value of each query, large.
func statOf() cog.Builder[dashboard.Panel] {
	return stat.NewPanelBuilder().ColorScheme(byThresholds()).TextMode(common.BigValueTextModeValueAndName).ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
}

// graph begins at 0.
func graph() *timeseries.PanelBuilder { return warmth().Min(0).FillOpacity(10) }

// warmth is for temperatures, which need no 0.
func warmth() *timeseries.PanelBuilder {
	return timeseries.NewPanelBuilder().ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)).LineWidth(1).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti))
}

// stacked shows parts of a whole.
func stacked() *timeseries.PanelBuilder {
	return graph().FillOpacity(60).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
}

// limited draws thresholds as lines.
func limited() *timeseries.PanelBuilder {
	return graph().ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
}

// timeline shows for how long something was in which state.
func timeline() cog.Builder[dashboard.Panel] {
	return statetimeline.NewPanelBuilder().ColorScheme(byThresholds()).ShowValue(common.VisibilityModeNever).MergeValues(true).RowHeight(.8).FillOpacity(80).LineWidth(0)
}

func bars() cog.Builder[dashboard.Panel] {
	return bargauge.NewPanelBuilder().ColorScheme(byThresholds()).DisplayMode(common.BarGaugeDisplayModeBasic).Orientation(common.VizOrientationHorizontal).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
}

func rows() cog.Builder[dashboard.Panel] {
	return table.NewPanelBuilder().Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{}))
}

func byThresholds() *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)
}

const (
	green, yellow, red, grey = "green", "yellow", "red", "text"
)

// rising is green below the first value, and red, or yellow and then red, from there on.
func rising(limits ...float64) []dashboard.Threshold {
	steps := []dashboard.Threshold{{Color: green}, {Value: &limits[0], Color: red}}
	if len(limits) == 2 {
		steps = []dashboard.Threshold{{Color: green}, {Value: &limits[0], Color: yellow}, {Value: &limits[1], Color: red}}
	}
	return steps
}

// outcomes are coloured as everywhere.
var outcomes = map[string]string{"pass": green, "alert": red, "inconclusive": yellow}

// plain has no judgement in it.
var plain = []dashboard.Threshold{{Color: grey}}

// wellOrNot puts 1 and 0 into words.
func wellOrNot(well, not string) []dashboard.ValueMapping {
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: map[string]dashboard.ValueMappingResult{
		"1": {Text: &well, Color: new(green), Index: new(int32(0))},
		"0": {Text: &not, Color: new(red), Index: new(int32(1))},
	}}}}
}

const (
	seconds, celsius, share = units.Seconds, units.Celsius, units.PercentUnit
)
