//go:build linux

package conn

import (
	"strings"
	"testing"
)

func TestOptionsLimits(t *testing.T) {
	handler := func(*Loop) Handler { return &script{} }
	for _, test := range []struct {
		o    Options
		want string // in the error, "": none
	}{
		{Options{}, ""},
		{Options{Handler: handler}, ""},
		{Options{Handler: handler, Loops: -1}, "Loops"},
		{Options{Handler: handler, Loops: 1024}, ""},
		{Options{Handler: handler, Loops: 1025}, "Loops"},
		{Options{Handler: handler, ReadLimit: 1}, ""},
		{Options{Handler: handler, ReadLimit: -1}, "ReadLimit"},
		{Options{Handler: handler, ReadLimit: 1<<30 + 1}, "ReadLimit"},
		{Options{Handler: handler, HighWater: 1}, ""},
		{Options{Handler: handler, HighWater: -1}, "HighWater"},
		{Options{Handler: handler, HighWater: 1<<30 + 1}, "HighWater"},
		{Options{Handler: handler, HighWater: 100, LowWater: 99}, ""},
		{Options{Handler: handler, HighWater: 100, LowWater: 100}, "LowWater"},
		{Options{Handler: handler, LowWater: -1}, "LowWater"},
		{Options{Handler: handler, MaxQueued: slabSize}, ""},
		{Options{Handler: handler, MaxQueued: slabSize - 1}, "MaxQueued"},
		{Options{Handler: handler, Linger: -1}, "Linger"},
	} {
		err := test.o.setDefaults()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test.o, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%+v: error %v, want one about %s", test.o, err, test.want)
		}
	}
}

func TestDriverKindNames(t *testing.T) {
	for _, k := range []DriverKind{Auto, IOUring, Epoll} {
		if got, err := ParseDriver(k.String()); got != k || err != nil {
			t.Errorf("ParseDriver(%q) = %v, %v", k.String(), got, err)
		}
	}
	if _, err := ParseDriver("kqueue"); err == nil {
		t.Error("ParseDriver knows kqueue")
	}
}
