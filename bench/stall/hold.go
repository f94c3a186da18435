//go:build unix

package main

import (
	"fmt"
	"io"
	"time"
)

// holdAll has l.hold requests suspended at once, and prints what the server's
// memory has grown by for each, beside what the idle connection costs.
func (l *load) holdAll(out io.Writer) error {
	clients := make([]*client, l.hold)
	before, err := l.stats()
	if err != nil {
		return err
	}
	for i := range clients {
		if clients[i], err = l.dial(); err != nil {
			return err
		}
		defer clients[i].close()
	}
	idle, err := l.stats()
	if err != nil {
		return err
	}
	begun := time.Now()
	for _, c := range clients {
		if err := c.send(fmt.Sprintf("/suspend?ms=%d", l.span.Milliseconds())); err != nil {
			return err
		}
	}
	held := idle
	for held.suspended < l.hold {
		if time.Since(begun) > l.span {
			return fmt.Errorf("%d of %d requests were suspended at once: -t is too short", held.suspended, l.hold)
		}
		time.Sleep(50 * time.Millisecond)
		if held, err = l.stats(); err != nil {
			return err
		}
	}
	for _, c := range clients {
		if status, err := c.receive(); err != nil || status != 200 {
			return fmt.Errorf("status %d: %w", status, err)
		}
	}
	late := time.Since(begun) - l.span
	n := float64(l.hold)
	fmt.Fprintf(out, "suspended=%d kib_per_connection=%.2f kib_per_suspended=%.2f goroutines=%d all_answered_after_ms=%d\n",
		held.suspended, float64(idle.resident-before.resident)/n, float64(held.resident-idle.resident)/n, held.goroutines,
		late.Milliseconds())
	return nil
}
