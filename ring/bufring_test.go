//go:build linux

package ring

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestBufferRing plays the kernel: it takes buffers from the ring by the tail
// and the entries alone, far beyond the tail's 16 bits, and must find each
// buffer that was put there, once and in order.
func TestBufferRing(t *testing.T) {
	for _, count := range []int{1, 2, 64, 4096, 8192, 32768} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			b, err := newBufferRing(count, minBufferSize)
			if err != nil {
				t.Fatal(err)
			}
			defer b.unmap()
			k := kernelSide{b: b}
			if k.available() != 0 {
				t.Fatalf("%d buffers before any was published", k.available())
			}
			for b.provided < count {
				before := b.provided
				b.grow()
				if k.available() != before {
					t.Fatalf("%d buffers visible before they were published, want %d", k.available(), before)
				}
				b.publish()
				if b.provided <= before || k.available() != b.provided {
					t.Fatalf("%d provided after %d, the kernel sees %d", b.provided, before, k.available())
				}
			}
			var expect []uint16 // in the ring, first to last
			for id := range count {
				expect = append(expect, uint16(id))
			}
			random := uint32(1)
			var held []BufferID
			for step := 0; step < 200_000; step++ {
				random = random*1664525 + 1013904223
				if random>>31 == 0 && len(expect) > 0 {
					id := k.take(t)
					if id != expect[0] {
						t.Fatalf("step %d: the kernel takes buffer %d, want %d", step, id, expect[0])
					}
					expect = expect[1:]
					data, buffer := b.taken(id, 1+step%minBufferSize)
					if len(data) != 1+step%minBufferSize || &data[0] != &b.memory[int(id)*minBufferSize] {
						t.Fatalf("step %d: buffer %d is not where it should be", step, id)
					}
					held = append(held, buffer)
				} else if len(held) > 0 {
					i := int(random>>8) % len(held)
					expect = append(expect, uint16(held[i]-1))
					b.release(held[i])
					held[i] = held[len(held)-1]
					held = held[:len(held)-1]
					b.publish()
				}
				if b.inUse != len(held) || k.available() != len(expect) {
					t.Fatalf("step %d: %d in use, want %d; %d visible, want %d", step, b.inUse, len(held), k.available(), len(expect))
				}
			}
		})
	}
}

// kernelSide reads a buffer ring as io_uring does.
type kernelSide struct {
	b    *bufferRing
	head uint16
}

func (k *kernelSide) tail() uint16 {
	w := atomic.LoadUint32(k.b.tailWord)
	return (*[2]uint16)(unsafe.Pointer(&w))[1]
}

func (k *kernelSide) available() int { return int(k.tail() - k.head) }

func (k *kernelSide) take(t *testing.T) uint16 {
	e := &k.b.entries[k.head&k.b.mask]
	at := uintptr(unsafe.Pointer(&k.b.memory[int(e.bid)*k.b.size]))
	if e.addr != uint64(at) || e.len != uint32(k.b.size) {
		t.Fatalf("entry %d of buffer %d: %#x, %d bytes, want %#x, %d", k.head&k.b.mask, e.bid, e.addr, e.len, at, k.b.size)
	}
	k.head++
	return e.bid
}

// TestRanOut: when a receive without a buffer may try again at once.
func TestRanOut(t *testing.T) {
	b, err := newBufferRing(4*buffersAtStart, minBufferSize)
	if err != nil {
		t.Fatal(err)
	}
	defer b.unmap()
	b.grow()
	for _, want := range []int{2 * buffersAtStart, 4 * buffersAtStart} {
		b.publish()
		// Of many that ran out in one turn, the first lets the ring grow.
		for range 10 {
			if errno := b.ranOut(false); errno != unix.EAGAIN {
				t.Fatalf("while growing: %v, want EAGAIN", errno)
			}
			if b.provided != want {
				t.Fatalf("%d buffers, want %d", b.provided, want)
			}
		}
	}
	b.publish()
	for id := range b.provided {
		if errno := b.ranOut(false); errno != unix.EAGAIN {
			t.Fatalf("with %d of %d in use: %v, want EAGAIN", b.inUse, b.provided, errno)
		}
		b.taken(uint16(id), 1)
	}
	if errno := b.ranOut(false); errno != unix.ENOBUFS {
		t.Fatalf("with all in use: %v, want ENOBUFS", errno)
	}
	for _, id := range []BufferID{NoBuffer, BufferID(b.provided) + 1, 1 << 31} {
		b.release(id)
	}
	if b.inUse != b.provided {
		t.Errorf("%d in use after releases of what is no buffer, want %d", b.inUse, b.provided)
	}
}

// TestAllBuffers: the largest ring, every buffer of it used by the kernel.
func TestAllBuffers(t *testing.T) {
	u := testDriver(t, Tier61, Config{Buffers: maxBuffers, BufferSize: minBufferSize})
	fd, peer := tcpPair(t)
	const total = 2 * maxBuffers * minBufferSize
	failed := make(chan error, 1)
	go func() {
		p := make([]byte, total)
		for i := range p {
			p[i] = byte(i * 7 >> 3)
		}
		_, err := writeAll(peer, p)
		failed <- err
	}()
	token := MakeToken(1, 1)
	u.Receive(fd, token)
	var held []BufferID
	got, fullOnce := 0, false
	deadline := time.Now().Add(30 * time.Second)
	var ev Event
	for got < total {
		if !u.Next(&ev) {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d bytes, stats %+v", got, total, u.Stats())
			}
			if err := u.Wait(time.Second); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, c := range ev.Data {
			if c != byte(got*7>>3) {
				t.Fatalf("byte %d is %d", got, c)
			}
			got++
		}
		if ev.Buffer != NoBuffer {
			held = append(held, ev.Buffer)
		}
		if ev.Err == unix.ENOBUFS {
			if len(held) != maxBuffers {
				t.Fatalf("out of buffers with %d held", len(held))
			}
			fullOnce = true
			for _, id := range held {
				u.Release(id)
			}
			held = held[:0]
		} else if ev.Err != 0 && ev.Err != unix.EAGAIN {
			t.Fatalf("receive: %v", ev.Err)
		}
		if !ev.More {
			u.Receive(fd, token)
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if !fullOnce {
		t.Error("the buffers never ran out")
	}
}

func writeAll(fd int, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Write(fd, p[n:])
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}
