//go:build linux

package conn

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// scarce is a sink whose kernel has few receive buffers. They are taken when
// something arrives, as io_uring's are, and not when the loop comes to it.
type scarce struct {
	*sink
	free    int
	arrives []ring.Token // between two turns, on armed receives
}

func (d *scarce) Receive(_ int, t ring.Token) { d.arrives = append(d.arrives, t) }
func (d *scarce) Release(ring.BufferID)       { d.free++ }

// Send has the peer ask again, on a receive that is armed still.
func (d *scarce) Send(fd int, t ring.Token, p []byte) {
	d.sink.Send(fd, t, p)
	d.arrives = append(d.arrives, t)
}

func (d *scarce) Wait(time.Duration) error {
	for _, t := range d.arrives {
		ev := ring.Event{Token: t, Op: ring.OpReceive, Err: syscall.EAGAIN}
		if d.free > 0 {
			d.free--
			ev = ring.Event{Token: t, Op: ring.OpReceive, N: 1, Data: []byte{1}, Buffer: 1, More: true}
		}
		d.push(ev)
	}
	d.arrives = d.arrives[:0]
	return nil
}

// Many more peers than there are receive buffers ask again as soon as they have
// their answer, and the loop takes a few at a time: each has its turn.
func TestBuffersGoRoundInTurn(t *testing.T) {
	const peers, buffers, turn, rounds = 64, 16, 4, 50
	d := &scarce{free: buffers}
	served, inTurn := make([]int, peers), 0
	l, s, conns := sinkLoop(t, &script{data: func(c *Conn, p []byte) int {
		served[c.State.(int)]++
		c.Commit(copy(c.Reserve(1), p))
		if inTurn++; inTurn == turn {
			c.loop.EndTurn()
		}
		return len(p)
	}}, peers)
	d.sink, l.driver = s, d
	for i, c := range conns {
		c.State = i
		d.arrives = append(d.arrives, c.token())
	}
	_ = d.Wait(0)
	for turns := 0; slices.Min(served) < rounds; turns++ {
		if turns == 10*peers*rounds/turn {
			t.Fatalf("after %d turns the peers had %v answers", turns, served)
		}
		inTurn = 0
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
		if most, least := slices.Max(served), slices.Min(served); most > least+2 {
			t.Fatalf("one peer had %d answers, another %d", most, least)
		}
	}
}
