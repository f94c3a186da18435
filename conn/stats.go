//go:build linux

package conn

// Stats counts what a loop has done since it began, and what it holds.
type Stats struct {
	// Conns is the number of open connections.
	Conns int
	// Turns is how often the loop has taken completions and gone to wait again.
	Turns uint64
	// Enters is the number of system calls that submitted, waited and, with
	// epoll, received and sent; Submitted is the number of operations handed
	// to the kernel, Completed of completions taken.
	Enters, Submitted, Completed uint64
	// Buffers is the number of receive buffers provided, BuffersInUse how many
	// of those hold input now.
	Buffers, BuffersInUse int
	// TakenOver is how often the loop was taken over from code that blocked.
	TakenOver uint64
}

// Stats returns the loop's counters; none after its end.
func (l *Loop) Stats() Stats {
	if l.ended.Load() {
		return Stats{}
	}
	d := l.driver.Stats()
	return Stats{
		Conns: l.Conns(), Turns: l.turns,
		Enters: d.Enters, Submitted: d.Submitted, Completed: d.Completed,
		Buffers: d.Buffers, BuffersInUse: d.BuffersInUse,
		TakenOver: l.TakenOver(),
	}
}
