package mqtt

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// TestPayloadByHand compares with bytes that were worked out on paper from the field numbers of the specification.
func TestPayloadByHand(t *testing.T) {
	at := time.UnixMilli(1)
	metrics := []metric{
		{name: "b", kind: typeInt64, value: int64(300), at: at},
		{name: "d", kind: typeDouble, value: 1.0, at: at, historical: true},
		{name: "n", kind: typeString, at: at},
	}
	const (
		timestamp = "0801"                                // field 1, varint 1
		b         = "0a0162" + "1801" + "2004" + "58ac02" // name, timestamp, datatype 4, long 300
		d         = "0a0164" + "1801" + "200a" + "2801"   // name, timestamp, datatype 10, historical
		dValue    = "69000000000000f03f"                  // field 13, 64 bits, little endian
		n         = "0a016e" + "1801" + "200c" + "3801"   // name, timestamp, datatype 12, null
		birth     = "120a" + b + "1212" + d + dValue + "1209" + n
	)
	want := timestamp + birth + "1807" // sequence number 7
	if got := hex.EncodeToString(marshalPayload("DBIRTH", 7, at, metrics)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// sparkplugDescriptor describes Payload and Metric to a decoder that shares nothing with ours.
func sparkplugDescriptor(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	const (
		optional = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		repeated = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	)
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, Label: optional.Enum()}
	}
	const (
		number64 = descriptorpb.FieldDescriptorProto_TYPE_UINT64
		flag     = descriptorpb.FieldDescriptorProto_TYPE_BOOL
		words    = descriptorpb.FieldDescriptorProto_TYPE_STRING
	)
	metrics := field("metrics", 2, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
	metrics.Label, metrics.TypeName = repeated.Enum(), proto.String(".spb.Metric")
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("spb.proto"), Package: proto.String("spb"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Payload"), Field: []*descriptorpb.FieldDescriptorProto{
				field("timestamp", 1, number64), metrics, field("seq", 3, number64)}},
			{Name: proto.String("Metric"), Field: []*descriptorpb.FieldDescriptorProto{
				field("name", 1, words), field("timestamp", 3, number64),
				field("datatype", 4, descriptorpb.FieldDescriptorProto_TYPE_UINT32),
				field("is_historical", 5, flag), field("is_null", 7, flag), field("long_value", 11, number64),
				field("double_value", 13, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE),
				field("boolean_value", 14, flag), field("string_value", 15, words)}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Payload")
}

// decoded is a payload as the other decoder reads it.
type decoded struct {
	Kind       string // NBIRTH, …; of the topic
	Seq        int    // -1 is none
	Metrics    map[string]any
	Datatypes  map[string]uint32
	Historical bool
}

func decode(t testing.TB, payload []byte) decoded {
	t.Helper()
	message := dynamicpb.NewMessage(sparkplugDescriptor(t))
	if err := proto.Unmarshal(payload, message); err != nil {
		t.Fatal(err)
	}
	if len(message.GetUnknown()) > 0 {
		t.Errorf("fields that are not described: %x", message.GetUnknown())
	}
	fields := message.Descriptor().Fields()
	d := decoded{Seq: -1, Metrics: map[string]any{}, Datatypes: map[string]uint32{}}
	if seq := fields.ByName("seq"); message.Has(seq) {
		d.Seq = int(message.Get(seq).Uint())
	}
	if !message.Has(fields.ByName("timestamp")) {
		t.Error("the payload has no timestamp")
	}
	list := message.Get(fields.ByName("metrics")).List()
	for i := range list.Len() {
		m := list.Get(i).Message()
		get := func(name string) (any, bool) {
			f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
			return m.Get(f).Interface(), m.Has(f)
		}
		name, _ := get("name")
		var value any
		for _, f := range []string{"long_value", "double_value", "boolean_value", "string_value"} {
			if v, ok := get(f); ok {
				value = v
			}
		}
		if null, _ := get("is_null"); null.(bool) != (value == nil) {
			t.Errorf("%v is %v and null: %v", name, value, null)
		}
		if _, ok := get("timestamp"); !ok || len(m.GetUnknown()) > 0 {
			t.Errorf("%v has no timestamp or unknown fields", name)
		}
		if datatype, ok := get("datatype"); ok {
			d.Datatypes[name.(string)] = datatype.(uint32)
		}
		historical, _ := get("is_historical")
		d.Historical = historical.(bool)
		d.Metrics[name.(string)] = value
	}
	return d
}

func TestPayloadThroughAnotherDecoder(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	got := decode(t, marshalPayload("NBIRTH", 255, at, []metric{
		{name: "long", kind: typeInt64, value: int64(math.MaxInt64), at: at},
		{name: "double", kind: typeDouble, value: -36.6, at: at},
		{name: "no", kind: typeBoolean, value: false, at: at},
		{name: "yes", kind: typeBoolean, value: true, at: at},
		{name: "北门/text", kind: typeString, value: "体温正常", at: at},
		{name: "null", kind: typeDouble, at: at},
	}))
	want := decoded{
		Seq:       255,
		Metrics:   map[string]any{"long": uint64(math.MaxInt64), "double": -36.6, "no": false, "yes": true, "北门/text": "体温正常", "null": nil},
		Datatypes: map[string]uint32{"long": 4, "double": 10, "no": 11, "yes": 11, "北门/text": 12, "null": 10},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// rebirthRequest is an NCMD as hosts send it.
func rebirthRequest() []byte {
	return marshalPayload("NCMD", 0, time.UnixMilli(1), []metric{{name: rebirthMetric, kind: typeBoolean, value: true, at: time.UnixMilli(1)}})
}

func TestParseRebirth(t *testing.T) {
	const name = "0a144e6f646520436f6e74726f6c2f52656269727468" // "Node Control/Rebirth"
	for message, ok := range map[string]bool{
		hex.EncodeToString(rebirthRequest()):              true,
		"1218" + name + "7001":                            true,  // with no timestamp and no datatype
		"1218" + name + "7001" + "320101":                 true,  // and an extension
		"":                                                false, // asks for nothing
		"0801":                                            false,
		"1218" + name + "7000":                            false, // false
		"1218" + name + "7002":                            false, // neither
		"1216" + name:                                     false, // no value
		"1218" + name + "5001":                            false, // a number
		"1218" + name + "7201":                            false, // of another wire type
		"121a" + name + "20047001":                        false, // of another datatype
		"121a" + name + "38017001":                        false, // null
		"121a" + name + "28017001":                        false, // historical
		"121a" + name + "10017001":                        false, // alias
		"12050a01617001":                                  false, // another metric
		"12027001":                                        false, // no name
		"1218" + name + "7001" + "12050a01617001":         false, // and another metric
		"1219" + name + "7001":                            false, // cut off
		"1218" + name + "7001" + "12":                     false,
		"1218" + name + "7001" + "0c":                     false, // the end of a group
		"1218" + name + "7001" + "0d01000000":             false, // timestamp of another wire type
		"1218" + name + "7001" + "08ffffffffffffffffff7f": false, // too large a number
		strings.Repeat("00", 100):                         false,
		"1218" + name + "7001" + strings.Repeat("08017001", 300): false, // too long
	} {
		payload, err := hex.DecodeString(message)
		if err != nil {
			t.Fatal(err)
		}
		if err := parseRebirth(payload); (err == nil) != ok {
			t.Errorf("%s: %v", message, err)
		}
	}
}

// FuzzParseRebirth compares with the other decoder: what we take for a rebirth is one to it, too.
func FuzzParseRebirth(f *testing.F) {
	request := rebirthRequest()
	f.Add(request)
	f.Add(request[:len(request)-3])
	f.Add(append(bytes.Clone(request), request...))
	f.Add(marshalPayload("NDATA", 1, time.Now(), nodeMetrics(Status{Camera: "ok"}, time.Now())))
	f.Add([]byte("\x0b\x13\x14\x0c")) // groups
	descriptor := sparkplugDescriptor(f)
	fields := descriptor.Fields()
	f.Fuzz(func(t *testing.T, payload []byte) {
		if parseRebirth(payload) != nil {
			return
		}
		message := dynamicpb.NewMessage(descriptor)
		if err := proto.Unmarshal(payload, message); err != nil {
			t.Fatalf("%x is a rebirth to us, but %v", payload, err)
		}
		metrics := message.Get(fields.ByName("metrics")).List()
		for i := range metrics.Len() {
			m := metrics.Get(i).Message()
			name := m.Get(m.Descriptor().Fields().ByName("name")).String()
			value := m.Get(m.Descriptor().Fields().ByName("boolean_value")).Bool()
			if name != rebirthMetric || !value {
				t.Errorf("%x sets %q to %v", payload, name, value)
			}
		}
		if metrics.Len() == 0 {
			t.Errorf("%x asks for nothing", payload)
		}
	})
}
