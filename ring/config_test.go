package ring

import (
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	got, err := Config{}.withDefaults()
	want := Config{Entries: 4096, CQEntries: 16384, Buffers: 4096, BufferSize: 4096, MaxTier: Tier61}
	if err != nil || got != want {
		t.Errorf("defaults are %+v, %v; want %+v", got, err, want)
	}
	for _, c := range []struct {
		cfg   Config
		names string // the field that the error names, empty: none
	}{
		{Config{Entries: 1}, ""},
		{Config{Entries: 32768}, ""},
		{Config{Entries: 3}, "Entries"},
		{Config{Entries: -1}, "Entries"},
		{Config{Entries: 65536, CQEntries: 65536}, "Entries"},
		{Config{Entries: 8, CQEntries: 8}, ""},
		{Config{Entries: 8, CQEntries: 4}, "CQEntries"},
		{Config{CQEntries: 65536}, ""},
		{Config{CQEntries: 131072}, "CQEntries"},
		{Config{Buffers: 1}, ""},
		{Config{Buffers: 32768}, ""},
		{Config{Buffers: 65536}, "Buffers"},
		{Config{Buffers: 100}, "Buffers"},
		{Config{BufferSize: 64}, ""},
		{Config{BufferSize: 63}, "BufferSize"},
		{Config{BufferSize: 1 << 20}, ""},
		{Config{BufferSize: 1<<20 + 1}, "BufferSize"},
		{Config{MaxTier: Tier519}, ""},
		{Config{MaxTier: 9}, "MaxTier"},
	} {
		_, err := c.cfg.withDefaults()
		switch {
		case c.names == "" && err != nil:
			t.Errorf("%+v: %v", c.cfg, err)
		case c.names != "" && (err == nil || !strings.Contains(err.Error(), c.names)):
			t.Errorf("%+v: error %v does not name %s", c.cfg, err, c.names)
		}
	}
}

func TestParseTier(t *testing.T) {
	for tier := TierBest; tier <= Tier61; tier++ {
		if got, err := ParseTier(tier.String()); got != tier || err != nil {
			t.Errorf("ParseTier(%q) = %v, %v", tier.String(), got, err)
		}
	}
	if _, err := ParseTier("7.0"); err == nil {
		t.Error("ParseTier takes a tier that does not exist")
	}
}

func TestToken(t *testing.T) {
	for _, slot := range []uint32{0, 1, 1<<31 + 5, 1<<32 - 1} {
		for _, generation := range []uint32{0, 1, 1<<23 + 5, 1<<24 - 1} {
			token := MakeToken(slot, generation)
			if token.Slot() != slot || token.Generation() != generation || token>>56 != 0 {
				t.Errorf("MakeToken(%d, %d) = %#x", slot, generation, uint64(token))
			}
		}
	}
	if MakeToken(1, 1<<24) != MakeToken(1, 0) {
		t.Error("generations do not wrap around after 24 bits")
	}
}
