package httpcore

import (
	"context"
	"math/bits"
	"time"
)

// LoopStats is what one event loop has done since it began, and what it holds.
type LoopStats struct {
	// Busy: the loop did not answer in time, because a handler has it; only
	// Conns and TakenOver are filled in then.
	Busy bool
	// Conns is the number of open connections.
	Conns int
	// Responses is the number of responses given out for sending.
	Responses uint64
	// Turns is how often the loop has taken completions and gone to wait again.
	Turns uint64
	// Enters is the number of system calls that submitted, waited and, with
	// epoll, received and sent; Submitted is the number of operations handed to
	// the kernel, Completed the number of completions taken.
	Enters, Submitted, Completed uint64
	// Buffers is the number of receive buffers that the kernel was given,
	// BuffersInUse how many of those hold input now.
	Buffers, BuffersInUse int
	// TakenOver is how often the loop was taken over from a handler that blocked
	// it (Adaptive dispatch).
	TakenOver uint64
	// Refused is how many requests were answered 503 because too many others
	// waited for a goroutine (WithMaxWaiting).
	Refused uint64
	// P50 and P99 tell how long responses took since the previous call of Stats,
	// within 10 %: from the turn in which the request's head was complete until
	// the response was given out for sending. Zero when there were none.
	P50, P99 time.Duration
}

// Stats returns the counters of each loop; none before Serve and on other systems
// than Linux. It waits for the loops until ctx ends. Times of responses are
// measured only after a call, for 10 s at most: nothing is spent on them when
// nobody looks, and the first call has none. It may be called from any goroutine
// but, with Inline dispatch, not by a handler, whose loop could not answer.
func (s *Server) Stats(ctx context.Context) []LoopStats {
	s.mu.Lock()
	b := s.backend
	s.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.stats(ctx)
}

// watchFor is how long after a call of Stats times are measured.
const watchFor = 10 * time.Second

// times is a histogram of durations, in nanoseconds: eight buckets for each power
// of two.
type times struct {
	until  time.Time // nobody looks any more
	count  uint64
	bucket [64 * timesPerOctave]uint32
}

const timesPerOctave = 8

func timesBucket(d time.Duration) int {
	n := uint64(max(d, 0)) | timesPerOctave // below that, everything is the same
	octave := bits.Len64(n) - 1
	return octave*timesPerOctave + int(n>>(octave-3))%timesPerOctave
}

// timesValue is the middle of a bucket.
func timesValue(bucket int) time.Duration {
	octave, part := bucket/timesPerOctave, bucket%timesPerOctave
	width := uint64(1) << (octave - 3)
	return time.Duration((timesPerOctave+uint64(part))*width + width/2)
}

func (t *times) note(d time.Duration) {
	t.count++
	t.bucket[timesBucket(d)]++
}

// percentile returns the duration that the share p (0 to 1) does not exceed.
func (t *times) percentile(p float64) time.Duration {
	if t.count == 0 {
		return 0
	}
	rank := uint64(p * float64(t.count-1))
	for i, n := range t.bucket {
		if rank < uint64(n) {
			return timesValue(i)
		}
		rank -= uint64(n)
	}
	return 0 // not reached
}
