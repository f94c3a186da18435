//go:build linux

package simdriver

import "github.com/ringcore/ringcore/ring"

type bufferState uint8

const (
	bufferFree   bufferState = iota
	inCompletion             // filled, its completion has not been taken
	withReceiver             // taken, to be released
)

// buffers are the receive buffers: few, so that they run out.
type buffers struct {
	d     *Driver
	size  int
	mem   [][]byte
	state []bufferState

	releases int
}

func (b *buffers) open(d *Driver) {
	b.d = d
	n := []int{1, 2, 4, 16, 64}[d.rng.IntN(5)]
	b.size = []int{64, 100, 512, 4096}[d.rng.IntN(4)]
	if d.opts.Calm {
		n, b.size = 64, 4096
	}
	b.state = make([]bufferState, n)
	for range n {
		b.mem = append(b.mem, make([]byte, b.size))
	}
}

// fill puts the beginning of p, at most limit bytes, into a free buffer.
func (b *buffers) fill(p []byte, limit int) (id ring.BufferID, data []byte) {
	for i, s := range b.state {
		if s == bufferFree {
			b.state[i] = inCompletion
			n := copy(b.mem[i], p[:min(limit, len(p))])
			return ring.BufferID(i + 1), b.mem[i][:n:n]
		}
	}
	return ring.NoBuffer, nil
}

func (b *buffers) count(s bufferState) (n int) {
	for _, has := range b.state {
		if has == s {
			n++
		}
	}
	return n
}

func (b *buffers) inUse() int { return b.count(withReceiver) }

// Release implements ring.Driver.
func (d *Driver) Release(id ring.BufferID) {
	d.news = true
	d.checkAlive("Release")
	b := &d.buffers
	if id == ring.NoBuffer || int(id) > len(b.mem) || b.state[id-1] != withReceiver {
		d.violate("buffer %d was released, but the receiver does not have it", id)
		return
	}
	b.state[id-1] = bufferFree
	b.releases++
	p := b.mem[id-1]
	for i := range p {
		p[i] = 0xDB // whoever still reads it shall notice
	}
}
