package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"thermogate/screening/event"
)

// dataType says what a Sparkplug B metric holds, by the numbers of the specification's section on data types.
type dataType uint64

const (
	typeInt64   dataType = 4
	typeDouble  dataType = 10
	typeBoolean dataType = 11
	typeString  dataType = 12
)

// metric is one value in a Sparkplug B payload.
type metric struct {
	name       string
	kind       dataType
	value      any // int64, float64, bool or string, as kind says; nil is null
	at         time.Time
	historical bool
}

// Field numbers of Payload and Metric, the two Protocol Buffers messages that a gate needs of Sparkplug B
// (Sparkplug 3.0, "Google Protocol Buffer Schema").
const (
	payloadTimestamp protowire.Number = 1
	payloadMetrics   protowire.Number = 2
	payloadSeq       protowire.Number = 3
	payloadUUID      protowire.Number = 4
	payloadBody      protowire.Number = 5

	metricName         protowire.Number = 1
	metricTimestamp    protowire.Number = 3
	metricDatatype     protowire.Number = 4
	metricIsHistorical protowire.Number = 5
	metricIsTransient  protowire.Number = 6
	metricIsNull       protowire.Number = 7
	metricLong         protowire.Number = 11
	metricDouble       protowire.Number = 13
	metricBoolean      protowire.Number = 14
	metricString       protowire.Number = 15
)

// marshalPayload encodes a message of this kind (NBIRTH, DDATA, …). All but NDEATH have a sequence number; datatypes
// belong in births and deaths only.
func marshalPayload(kind string, seq uint8, at time.Time, metrics []metric) []byte {
	b := appendVarint(nil, payloadTimestamp, milliseconds(at))
	for _, m := range metrics {
		b = protowire.AppendTag(b, payloadMetrics, protowire.BytesType)
		b = protowire.AppendBytes(b, m.marshal(!strings.HasSuffix(kind, "DATA")))
	}
	if kind != "NDEATH" {
		b = appendVarint(b, payloadSeq, uint64(seq))
	}
	return b
}

func (m metric) marshal(typed bool) []byte {
	b := appendString(nil, metricName, m.name)
	b = appendVarint(b, metricTimestamp, milliseconds(m.at))
	if typed {
		b = appendVarint(b, metricDatatype, uint64(m.kind))
	}
	if m.historical {
		b = appendVarint(b, metricIsHistorical, 1)
	}
	switch value := m.value.(type) {
	case int64:
		b = appendVarint(b, metricLong, uint64(value))
	case float64:
		b = protowire.AppendTag(b, metricDouble, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(value))
	case bool:
		b = appendVarint(b, metricBoolean, protowire.EncodeBool(value))
	case string:
		b = appendString(b, metricString, value)
	default:
		b = appendVarint(b, metricIsNull, 1)
	}
	return b
}

func appendVarint(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

func appendString(b []byte, number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// milliseconds is how Sparkplug gives times; it knows none before 1970.
func milliseconds(at time.Time) uint64 { return uint64(max(at.UnixMilli(), 0)) }

// nodeMetrics is what the status topic tells, by the same names.
func nodeMetrics(status Status, at time.Time) []metric {
	reference := status.Reference
	if reference == "" {
		reference = "ok"
	}
	return []metric{
		{name: "camera", kind: typeString, value: status.Camera, at: at},
		{name: "reference", kind: typeString, value: reference, at: at},
		{name: "paused", kind: typeBoolean, value: status.Paused, at: at},
	}
}

// deviceMetrics is an event by the names of its JSON; what was not measured is null. The zero event is all null.
func deviceMetrics(e event.Event, at time.Time) []metric {
	data := e.Data
	metrics := []metric{
		{name: "id", value: text(e.ID)},
		{name: "outcome", value: text(string(data.Outcome))},
		{name: "reason", value: text(string(data.Reason))},
		{name: "policy", value: text(data.Policy)},
		{name: "rescreen_of", value: text(data.RescreenOf)},
		{name: "skin_site", value: text(string(data.SkinSite))},
		{name: "skin_celsius", kind: typeDouble, value: number(data.SkinCelsius)},
		{name: "skin_uncertainty_celsius", kind: typeDouble, value: number(data.SkinUncertaintyCelsius)},
		{name: "body_celsius", kind: typeDouble, value: number(data.BodyCelsius)},
		{name: "offset_celsius", kind: typeDouble, value: number(data.OffsetCelsius)},
		{name: "threshold_celsius", kind: typeDouble, value: number(data.ThresholdCelsius)},
		{name: "baseline_celsius", kind: typeDouble, value: number(data.BaselineCelsius)},
		{name: "reference_correction_celsius", kind: typeDouble, value: number(data.Reference.CorrectionCelsius)},
		{name: "seconds_to_verdict", kind: typeDouble, value: number(data.SecondsToVerdict)},
	}
	for i := range metrics {
		metrics[i].at, metrics[i].historical = at, data.Historical
		if metrics[i].kind == 0 {
			metrics[i].kind = typeString
		}
	}
	return metrics
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func number(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

// rebirthMetric is the one thing that a Sparkplug host may ask of a gate: to introduce itself again.
const rebirthMetric = "Node Control/Rebirth"

// parseRebirth reads the payload of an NCMD. Whatever is not a well-formed request for a rebirth, and nothing more, is
// an error. Fields that the specification leaves to extensions are passed over.
func parseRebirth(payload []byte) error {
	if len(payload) > maxCommandBytes {
		return fmt.Errorf("the NCMD has %d bytes, more than %d", len(payload), maxCommandBytes)
	}
	asked := false
	err := eachField(payload, func(f field) error {
		switch f.number {
		case payloadTimestamp, payloadSeq:
			return f.want(protowire.VarintType)
		case payloadUUID, payloadBody:
			return f.want(protowire.BytesType)
		case payloadMetrics:
			asked = true
			return parseRebirthMetric(f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the NCMD is not as it should be: %w", err)
	}
	if !asked {
		return errors.New("the NCMD asks for nothing")
	}
	return nil
}

func parseRebirthMetric(f field) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	name, asked := "", false
	err := eachField(f.bytes, func(f field) error {
		switch f.number {
		case metricName:
			name = string(f.bytes)
			return f.want(protowire.BytesType)
		case metricTimestamp, metricIsTransient:
			return f.want(protowire.VarintType)
		case metricDatatype:
			return f.wantVarint(uint64(typeBoolean))
		case metricIsHistorical, metricIsNull:
			return f.wantVarint(0)
		case metricBoolean:
			asked = true
			return f.wantVarint(1)
		}
		return fmt.Errorf("a metric has field %d", f.number)
	})
	switch {
	case err != nil:
		return err
	case name != rebirthMetric:
		return fmt.Errorf("%.60q can't be written", name)
	case !asked:
		return fmt.Errorf("%s has no value", rebirthMetric)
	}
	return nil
}

// hostState is what a host's STATE says.
type hostState struct {
	online    bool
	timestamp int64 // milliseconds since 1970
}

func parseHostState(payload []byte) (hostState, error) {
	if len(payload) > maxCommandBytes {
		return hostState{}, fmt.Errorf("the STATE has %d bytes, more than %d", len(payload), maxCommandBytes)
	}
	var m struct {
		Online    *bool  `json:"online"`
		Timestamp *int64 `json:"timestamp"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return hostState{}, fmt.Errorf("the STATE is not as it should be: %w", err)
	}
	if m.Online == nil || m.Timestamp == nil {
		return hostState{}, errors.New("the STATE has no online or no timestamp")
	}
	return hostState{*m.Online, *m.Timestamp}, nil
}

// field is one field of a Protocol Buffers message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64 // where kind is VarintType
	bytes  []byte // where kind is BytesType
}

func (f field) want(kind protowire.Type) error {
	if f.kind != kind {
		return fmt.Errorf("field %d has wire type %d", f.number, f.kind)
	}
	return nil
}

func (f field) wantVarint(value uint64) error {
	if f.kind != protowire.VarintType || f.varint != value {
		return fmt.Errorf("field %d is not %d", f.number, value)
	}
	return nil
}

// eachField calls see with the fields of message in order.
func eachField(message []byte, see func(field) error) error {
	for len(message) > 0 {
		var f field
		var n int
		f.number, f.kind, n = protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		switch f.kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(f.number, f.kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := see(f); err != nil {
			return err
		}
	}
	return nil
}
