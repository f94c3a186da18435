package gonet

import (
	"sync"

	"github.com/ringcore/ringcore/ring"
)

// bufferTable numbers the buffers of receives.
type bufferTable struct {
	mu   sync.Mutex
	all  [][]byte
	free []ring.BufferID
}

func (t *bufferTable) get(size int) ([]byte, ring.BufferID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return t.all[id-1], id
	}
	b := make([]byte, size)
	t.all = append(t.all, b)
	return b, ring.BufferID(len(t.all))
}

func (t *bufferTable) put(id ring.BufferID) {
	t.mu.Lock()
	t.free = append(t.free, id)
	t.mu.Unlock()
}

func (t *bufferTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}
