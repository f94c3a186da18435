//go:build linux

package httpcore

import (
	"time"

	"github.com/ringcore/ringcore/conn"
)

// spares are exchanges that wait to be used again: as many as have been in use
// at the same time lately. They belong to the loop's goroutine.
type spares struct {
	first *exchange
	count int
	least int        // the smallest count since they were last trimmed
	alarm conn.Alarm // for the next time, armed while there are more than fewSpares
	armed bool
}

const (
	fewSpares = 16          // are kept for good
	trimEvery = time.Second // what a second had no use for goes, by halves
)

// take returns nil if there is none.
func (s *spares) take() *exchange {
	x := s.first
	if x == nil {
		return nil
	}
	s.first, x.next = x.next, nil
	s.count--
	s.least = min(s.least, s.count)
	return x
}

func (s *spares) put(x *exchange) {
	x.next, s.first = s.first, x
	if s.count++; s.count > fewSpares && !s.armed {
		s.rearm(x.p.loop)
	}
}

func (s *spares) rearm(l *conn.Loop) {
	s.armed, s.least = true, s.count
	s.alarm.Run = s.trim
	l.SetAlarm(&s.alarm, trimEvery)
}

// trim leaves half of what was not needed to the garbage collector.
func (s *spares) trim(l *conn.Loop) {
	for n := min((s.least+1)/2, s.count-fewSpares); n > 0; n-- {
		s.take()
	}
	if s.armed = false; s.count > fewSpares {
		s.rearm(l)
	}
}
