//go:build linux

package conn

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestArenaLimit(t *testing.T) {
	a := arena{bufSize: smallSize, maxSlabs: 2}
	const each = slabSize / smallSize
	var bufs []*sendBuf
	for {
		b := a.get()
		if b == nil {
			break
		}
		bufs = append(bufs, b)
	}
	if len(bufs) != 2*each {
		t.Fatalf("%d buffers of two slabs, want %d", len(bufs), 2*each)
	}
	a.put(bufs[0])
	if b := a.get(); b != bufs[0] {
		t.Error("the buffer that came back is not given out again")
	}
	for _, b := range bufs {
		a.put(b)
	}
	if a.trim(); a.slabs != 2 {
		t.Errorf("the slabs were in use since the last trim: %d are left, want 2", a.slabs)
	}
	if a.trim(); a.slabs != 1 || a.empty != 1 {
		t.Errorf("all buffers are back: %d slabs, %d of them free, want 1 and 1", a.slabs, a.empty)
	}
	a.close()
	if a.slabs != 0 || a.empty != 0 || a.partial != nil {
		t.Errorf("after close: %d slabs, %d free", a.slabs, a.empty)
	}
}

// TestArenaAgainstModel takes and returns buffers at random: no two overlap,
// and a trim keeps what was in use since the last one.
func TestArenaAgainstModel(t *testing.T) {
	for _, size := range []int{tinySize, smallSize, largeSize} {
		r := rand.New(rand.NewPCG(3, uint64(size)))
		a := arena{bufSize: size, maxSlabs: 5}
		limit := 5 * slabSize / size
		var held []*sendBuf
		inUse := map[unsafe.Pointer]bool{}
		fill := 0.5
		for i := range 20_000 {
			if i%500 == 0 {
				fill = r.Float64()
			}
			if r.Float64() < fill {
				b := a.get()
				if (b == nil) != (len(held) == limit) {
					t.Fatalf("with %d of %d buffers taken: got one: %v", len(held), limit, b != nil)
				}
				if b == nil {
					continue
				}
				at := unsafe.Pointer(unsafe.SliceData(b.mem))
				if len(b.mem) != size || cap(b.mem) != size || b.r != 0 || b.w != 0 || b.next != nil || inUse[at] {
					t.Fatalf("a buffer of %d bytes (capacity %d) from %d to %d, in use %v", len(b.mem), cap(b.mem), b.r, b.w, inUse[at])
				}
				inUse[at] = true
				b.mem[0], b.mem[size-1] = 1, 1 // must be mapped
				b.r, b.w = 1, 2
				held = append(held, b)
			} else if len(held) > 0 {
				k := r.IntN(len(held))
				b := held[k]
				held[k] = held[len(held)-1]
				held = held[:len(held)-1]
				delete(inUse, unsafe.Pointer(unsafe.SliceData(b.mem)))
				a.put(b)
			}
			if i%1000 == 0 {
				a.trim()
				if a.trim(); a.empty > 1 { // nothing was in use between the two
					t.Fatalf("%d slabs, %d of them free after two trims", a.slabs, a.empty)
				}
			}
			if a.slabs > 5 {
				t.Fatalf("%d slabs", a.slabs)
			}
		}
		for _, b := range held {
			a.put(b)
		}
		if a.close(); a.slabs != 0 {
			t.Errorf("%d slabs are left", a.slabs)
		}
	}
}

func TestInputPool(t *testing.T) {
	var p inputPool
	for _, test := range []struct{ n, capacity int }{
		{1, 1 << minInputClass},
		{1 << minInputClass, 1 << minInputClass},
		{1<<minInputClass + 1, 2 << minInputClass},
		{1 << maxInputClass, 1 << maxInputClass},
		{1<<maxInputClass + 1, 2 << maxInputClass},
	} {
		b := p.get(test.n)
		if len(b) != 0 || cap(b) != test.capacity {
			t.Errorf("get(%d): length %d, capacity %d, want 0 and %d", test.n, len(b), cap(b), test.capacity)
		}
		p.put(b)
		again := p.get(test.n)
		same := unsafe.SliceData(b[:1]) == unsafe.SliceData(again[:1])
		if want := test.capacity <= 1<<maxInputClass; same != want {
			t.Errorf("get(%d) again: the same memory: %v, want %v", test.n, same, want)
		}
	}
	for range 10 * inputsKept {
		p.put(make([]byte, 0, 1<<minInputClass))
	}
	if n := len(p.free[minInputClass]); n != inputsKept {
		t.Errorf("%d buffers are kept, want %d", n, inputsKept)
	}
	p.put(make([]byte, 0, 3000)) // nobody's, and no class
	for c, list := range p.free {
		for _, b := range list {
			if cap(b) != 1<<c {
				t.Errorf("class %d has a buffer of %d", c, cap(b))
			}
		}
	}
}
