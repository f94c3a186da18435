//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// answer is when a request was sent, how long its answer took, and whether that
// was 503.
type answer struct {
	begun   time.Time
	took    time.Duration
	refused bool
}

// load is what the flags say, and what comes of it.
type load struct {
	addr, quick, slow string
	share             float64
	conns, maxSlow    int
	rate, slowRate    float64
	warm, span        time.Duration
	seconds           bool
	hold              int

	begun, from, to time.Time // quick requests sent between from and to count
	sent            atomic.Int64
	end             chan struct{}

	mu         sync.Mutex
	took       []time.Duration // of the quick ones
	slowTook   []time.Duration
	all        []answer // of the quick ones, with seconds
	refused    int      // answered 503
	failed     int
	firstError error
}

func (l *load) run(out io.Writer) error {
	before, err := l.stats()
	if err != nil {
		return err
	}
	l.begun = time.Now()
	l.from = l.begun.Add(l.warm)
	l.to = l.from.Add(l.span)
	l.end = make(chan struct{})
	time.AfterFunc(time.Until(l.to), func() { close(l.end) })
	var wg sync.WaitGroup
	for i := range l.conns {
		wg.Go(func() { l.note(l.quickly(i)) })
	}
	if l.slow != "" {
		wg.Go(l.slowly)
	}
	time.Sleep(time.Until(l.from))
	mid, err := l.stats()
	if err != nil {
		return err
	}
	<-l.end
	after, err := l.stats()
	if err != nil {
		return err
	}
	wg.Wait()
	slices.Sort(l.took)
	slices.Sort(l.slowTook)
	n := len(l.took)
	if n == 0 {
		return errors.Join(errors.New("no quick request was answered"), l.firstError)
	}
	fmt.Fprintf(out, "rps=%.0f p50ms=%.2f p99ms=%.2f p999ms=%.2f maxms=%.2f cpu_us=%.2f slow=%d slow_p50ms=%.1f slow_p99ms=%.1f refused=%d failed=%d "+
		"resident_kib=%d idle_kib=%d goroutines=%d\n",
		float64(n)/l.span.Seconds(), ms(l.took, 50), ms(l.took, 99), ms(l.took, 99.9), ms(l.took, 100),
		(after.cpu-mid.cpu)/float64(n+len(l.slowTook)), len(l.slowTook), ms(l.slowTook, 50), ms(l.slowTook, 99), l.refused, l.failed,
		after.resident, before.resident, after.goroutines)
	if l.seconds {
		l.printSeconds(out)
	}
	return l.firstError
}

// printSeconds prints a line for each second of the measurement.
func (l *load) printSeconds(out io.Writer) {
	sort.Slice(l.all, func(i, k int) bool { return l.all[i].begun.Before(l.all[k].begun) })
	for i, second := 0, 0; i < len(l.all); second++ {
		var took []time.Duration
		for ; i < len(l.all) && l.all[i].begun.Sub(l.from) < time.Duration(second+1)*time.Second; i++ {
			took = append(took, l.all[i].took)
		}
		slices.Sort(took)
		fmt.Fprintf(out, "second=%d n=%d p50ms=%.2f p99ms=%.2f maxms=%.2f\n", second, len(took), ms(took, 50), ms(took, 99), ms(took, 100))
	}
}

func ms(sorted []time.Duration, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(float64(len(sorted))*percent/100))]) / 1e6
}

func (l *load) note(err error) {
	if err != nil {
		l.mu.Lock()
		l.failed++
		if l.firstError == nil {
			l.firstError = err
		}
		l.mu.Unlock()
	}
}

// quickly sends the quick requests of connection i. With a rate, a request's
// time counts from the moment that it was due, if the connection was free then.
func (l *load) quickly(i int) error {
	c, err := l.dial()
	if err != nil {
		return err
	}
	defer c.close()
	took := make([]time.Duration, 0, 1<<16)
	defer func() {
		l.mu.Lock()
		l.took = append(l.took, took...)
		l.mu.Unlock()
	}()
	step := time.Duration(0)
	if l.rate > 0 {
		step = time.Duration(float64(l.conns) / l.rate * 1e9)
	}
	due := l.begun.Add(step * time.Duration(i) / time.Duration(l.conns))
	for {
		begun := time.Now()
		if l.rate > 0 {
			time.Sleep(due.Sub(begun))
			if begun.Before(due) {
				begun = due
			}
			for due = due.Add(step); time.Since(due) > 0; { // what is missed is left out
				due = due.Add(step)
			}
		}
		if begun.After(l.to) {
			return nil
		}
		status, err := c.get(l.quick)
		if err != nil {
			return err
		}
		l.sent.Add(1)
		switch {
		case begun.Before(l.from):
		case status == 503:
			l.mu.Lock()
			l.refused++
			l.mu.Unlock()
		default:
			took = append(took, time.Since(begun))
			if l.seconds {
				l.mu.Lock()
				l.all = append(l.all, answer{begun: begun, took: time.Since(begun)})
				l.mu.Unlock()
			}
		}
	}
}

// slowly sees to it that there are as many slow requests as there shall be.
func (l *load) slowly() {
	var wg sync.WaitGroup
	free := make(chan *client, l.maxSlow)
	defer func() {
		wg.Wait()
		for len(free) > 0 {
			(<-free).close()
		}
	}()
	busy := make(chan struct{}, l.maxSlow)
	begun := 0
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case <-l.end:
			return
		case <-tick.C:
		}
		want := int(float64(l.sent.Load()) * l.share / (100 - l.share))
		if l.slowRate > 0 {
			want = int(time.Since(l.begun).Seconds() * l.slowRate)
		}
		for ; begun < want && len(busy) < l.maxSlow; begun++ {
			busy <- struct{}{}
			wg.Go(func() {
				l.note(l.oneSlow(free))
				<-busy
			})
		}
	}
}

func (l *load) oneSlow(free chan *client) (err error) {
	var c *client
	select {
	case c = <-free:
	default:
		if c, err = l.dial(); err != nil {
			return err
		}
	}
	begun := time.Now()
	status, err := c.get(l.slow)
	if err != nil {
		c.close()
		return err
	}
	free <- c
	l.mu.Lock()
	defer l.mu.Unlock()
	if status == 503 {
		l.refused++
	} else if begun.After(l.from) {
		l.slowTook = append(l.slowTook, time.Since(begun))
	}
	return nil
}

// client is a connection that makes one request at a time.
type client struct {
	nc  net.Conn
	r   *bufio.Reader
	out []byte
}

func (l *load) dial() (*client, error) {
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		return nil, err
	}
	return &client{nc: nc, r: bufio.NewReaderSize(nc, 1024)}, nil
}

func (c *client) close() { _ = c.nc.Close() }

func (c *client) get(path string) (status int, err error) {
	if err := c.send(path); err != nil {
		return 0, err
	}
	return c.receive()
}

func (c *client) send(path string) error {
	c.out = append(append(append(c.out[:0], "GET "...), path...), " HTTP/1.1\r\nHost: stall\r\n\r\n"...)
	_, err := c.nc.Write(c.out)
	return err
}

// receive leaves the body of a good answer in c.out.
func (c *client) receive() (status int, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, err
		case first && len(line) > 12:
			status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
		case len(line) > 16 && string(line[:16]) == "Content-Length: ":
			for _, d := range line[16 : len(line)-2] {
				length = length*10 + int(d-'0')
			}
		case len(line) == 2:
			c.out = slices.Grow(c.out[:0], length)[:length]
			_, err = io.ReadFull(c.r, c.out)
			if err == nil && status != 200 && status != 503 {
				err = fmt.Errorf("status %d: %s", status, c.out)
			}
			return status, err
		}
	}
}

// usage is what the server says of itself.
type usage struct {
	cpu        float64 // µs
	resident   int     // KiB
	goroutines int
	suspended  int
}

func (l *load) stats() (u usage, err error) {
	c, err := l.dial()
	if err != nil {
		return u, err
	}
	defer c.close()
	for status := 503; status == 503; { // it does not matter how long it takes
		if status, err = c.get("/stats"); err != nil {
			return u, err
		}
	}
	_, err = fmt.Sscanf(string(c.out), "cpu_us=%f resident_kib=%d goroutines=%d suspended=%d", &u.cpu, &u.resident, &u.goroutines, &u.suspended)
	return u, err
}
