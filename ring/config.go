package ring

import "fmt"

// Limits and defaults of Config.
const (
	maxEntries        = 32768
	maxCQEntries      = 65536
	maxBuffers        = 32768
	minBufferSize     = 64
	maxBufferSize     = 1 << 20
	defaultEntries    = 4096
	defaultBuffers    = 4096
	defaultBufferSize = 4096
)

// withDefaults returns c with its zero fields filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	orDefault(&c.Entries, defaultEntries)
	orDefault(&c.CQEntries, min(4*c.Entries, maxCQEntries))
	orDefault(&c.Buffers, defaultBuffers)
	orDefault(&c.BufferSize, defaultBufferSize)
	if c.MaxTier == TierBest {
		c.MaxTier = Tier61
	}
	switch {
	case !powerOfTwo(c.Entries, maxEntries):
		return c, fmt.Errorf("ring: Entries is %d: want a power of two from 1 to %d", c.Entries, maxEntries)
	case !powerOfTwo(c.CQEntries, maxCQEntries) || c.CQEntries < c.Entries:
		return c, fmt.Errorf("ring: CQEntries is %d: want a power of two from Entries (%d) to %d", c.CQEntries, c.Entries, maxCQEntries)
	case !powerOfTwo(c.Buffers, maxBuffers):
		return c, fmt.Errorf("ring: Buffers is %d: want a power of two from 1 to %d", c.Buffers, maxBuffers)
	case c.BufferSize < minBufferSize || c.BufferSize > maxBufferSize:
		return c, fmt.Errorf("ring: BufferSize is %d: want %d to %d bytes", c.BufferSize, minBufferSize, maxBufferSize)
	case c.MaxTier > Tier61:
		return c, fmt.Errorf("ring: MaxTier is %v: want best, 5.19, 6.0 or 6.1", c.MaxTier)
	}
	return c, nil
}

func orDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

func powerOfTwo(n, most int) bool { return n >= 1 && n <= most && n&(n-1) == 0 }
