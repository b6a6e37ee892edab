package listen_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/listen"
)

func TestPlacesAreSharedOutFairly(t *testing.T) {
	tests := []struct {
		name  string
		come  []string // by the last part of their addresses, in order
		loses []int    // who of them, in order
	}{
		{"room for all", []string{"1", "2", "3"}, nil},
		{"one has all but one", []string{"9", "1", "1", "1"}, []int{1}},
		{"one takes all and more", []string{"1", "1", "1", "1", "1"}, []int{0, 1}},
		{"another comes late", []string{"1", "1", "1", "2", "3"}, []int{0, 1}},
		{"one each", []string{"1", "2", "3", "4"}, []int{0}},
	}
	for _, test := range tests {
		places := listen.NewPlaces(3)
		var loses []int
		for i, address := range test.come {
			places.Take(netip.MustParseAddr("10.0.0."+address), func() { loses = append(loses, i) })
		}
		if diff := cmp.Diff(test.loses, loses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestPlaceThatIsLeftIsFree(t *testing.T) {
	places := listen.NewPlaces(1)
	address := netip.MustParseAddr("::1")
	leave := places.Take(address, func() { t.Error("lost although it was left") })
	leave()
	places.Take(address, func() {})
	leave() // again, which is not another's
	if places.Taken() != 1 {
		t.Errorf("%d taken", places.Taken())
	}
}
