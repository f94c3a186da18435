//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/ringcore/ringcore/bench/compare/procfs"
)

// filling is how many client processes connect at the same time.
const filling = 4

// fleet is all the processes.
type fleet struct {
	config
	addr             string
	ready            serverReady
	servers, clients []*child
	reserved         net.Listener
}

// figures are what the kernel and the processes say at one moment.
type figures struct {
	user, client int64 // octets of the servers, of the clients
	slab         int64 // octets of the kernel
	sockets      int
	available    int64
}

// run does everything and prints the report on out, progress on progress.
func run(ctx context.Context, c config, out, progress io.Writer) error {
	f := &fleet{config: c}
	defer f.stop()
	if err := f.start(ctx); err != nil {
		return err
	}
	before, err := f.look()
	if err != nil {
		return err
	}
	if need := int64(c.n) * needed; need > before.available {
		return fmt.Errorf("%d connections need about %s of memory; %s is available", c.n, gib(need), gib(before.available))
	}
	begun := time.Now()
	if err := f.fill(ctx, progress); err != nil {
		return err
	}
	filled := time.Since(begun)
	held, err := f.look()
	if err != nil {
		return err
	}
	idle, err := f.cpu(ctx, c.watch)
	if err != nil {
		return err
	}
	var times *hdrhistogram.Histogram
	var total clientReport
	busy, err := f.cpuWhile(func() (err error) {
		times, total, err = f.traffic(ctx)
		return err
	})
	if err != nil {
		return err
	}
	after, err := f.look()
	if err != nil {
		return err
	}
	n := float64(c.n)
	driver := f.ready.Driver
	if f.ready.Tier != "" {
		driver += " tier " + f.ready.Tier
	}
	fmt.Fprintf(out, "connections                %d (%d sockets in the kernel), %s\n", c.n, held.sockets, driver)
	fmt.Fprintf(out, "processes                  %d servers on one port, %d clients\n", len(f.servers), len(f.clients))
	fmt.Fprintf(out, "connected in               %.1f s, a request on each\n", filled.Seconds())
	fmt.Fprintf(out, "server's user memory       %.3f KiB a connection (%s in all, %s before)\n",
		float64(held.user-before.user)/n/1024, gib(held.user), gib(before.user))
	fmt.Fprintf(out, "kernel's slab, both ends   %.2f KiB a connection (%s)\n", float64(held.slab-before.slab)/n/1024, gib(held.slab-before.slab))
	fmt.Fprintf(out, "memory less available      %.2f KiB a connection (%s; clients' %s in it)\n",
		float64(before.available-held.available)/n/1024, gib(before.available-held.available), gib(held.client-before.client))
	fmt.Fprintf(out, "servers' CPU, idle         %.3f ms a second (%v watched)\n", milli(idle)/c.watch.Seconds(), c.watch)
	fmt.Fprintf(out, "traffic on %.3g %%           %d requests in %v, %d late; servers' CPU %.1f us a request\n",
		c.active*100, total.Requests, c.watch, total.Late, milli(busy)*1000/float64(max(total.Requests, 1)))
	fmt.Fprintf(out, "times of the active ones   p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
		float64(times.ValueAtQuantile(50))/1e6, float64(times.ValueAtQuantile(99))/1e6, float64(times.Max())/1e6)
	fmt.Fprintf(out, "connections afterwards     %d sockets in the kernel\n", after.sockets)
	if after.sockets < 2*c.n {
		return fmt.Errorf("connections were lost: %d sockets are left of %d", after.sockets, 2*c.n)
	}
	return nil
}

// needed is a careful guess of what a connection takes of memory, both ends.
const needed = 11 << 10

func milli(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func gib(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }

// start starts the servers. A process is no fuller than the limit allows, and
// servers have a share less: which of them gets a connection is chance.
func (f *fleet) start(ctx context.Context) error {
	var err error
	if f.reserved, err = listenOnly(); err != nil {
		return err
	}
	f.addr = f.reserved.Addr().String()
	for i := range ceil(f.n, f.perProcess*19/20) {
		s, err := startChild(ctx, "server", i)
		if s != nil && s.cmd.Process != nil {
			f.servers = append(f.servers, s)
		}
		if err == nil {
			err = s.ask(ctx, serverOrder{f.addr, f.driver.String()}, &f.ready)
		}
		if err != nil {
			return err
		}
		if i == 0 { // the port has a server now; the reservation gets no connections
			_ = f.reserved.Close()
		}
	}
	return nil
}

// listenOnly finds a free port.
func listenOnly() (net.Listener, error) { return listen("127.0.0.1:0") }

func ceil(a, b int) int { return (a + b - 1) / max(b, 1) }

// fill starts the clients and waits until all connections are there.
func (f *fleet) fill(ctx context.Context, progress io.Writer) error {
	count := ceil(f.n, f.perProcess)
	errs := make(chan error, count)
	places := make(chan struct{}, filling)
	var mu sync.Mutex
	held := 0
	for i := range count {
		c, err := startChild(ctx, "client", i)
		if c != nil && c.cmd.Process != nil {
			f.clients = append(f.clients, c)
		}
		if err != nil {
			return err
		}
		order := clientOrder{Addr: f.addr, Source: source(i).String(), N: share(f.n, i, count)}
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			var r clientReport
			err := c.ask(ctx, order, &r)
			if err == nil {
				mu.Lock()
				held += r.N
				fmt.Fprintf(progress, "%d connections\n", held)
				mu.Unlock()
			}
			errs <- err
		}()
	}
	var all error
	for range count {
		if err := <-errs; err != nil && all == nil {
			all = err
			f.stop() // whoever still waits is not to wait in vain
		}
	}
	return all
}

// source returns the i'th source address, from 127.1.0.1 on.
func source(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(i%250 + 1)})
}

// share is the i'th of count nearly equal parts of n.
func share(n, i, count int) int { return n*(i+1)/count - n*i/count }

// traffic has all clients make theirs at once, and adds up what they report.
func (f *fleet) traffic(ctx context.Context) (*hdrhistogram.Histogram, clientReport, error) {
	count := len(f.clients)
	reports := make([]clientReport, count)
	errs := make(chan error, count)
	for i, c := range f.clients {
		n := max(int(float64(share(f.n, i, count))*f.active), 1)
		go func() { errs <- c.ask(ctx, clientTraffic{n, f.every, f.watch}, &reports[i]) }()
	}
	var all []error
	for range count {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return nil, clientReport{}, err
	}
	times := hdrhistogram.New(1000, longest, 2)
	var sum clientReport
	for i, r := range reports {
		if r.Error != "" {
			return nil, sum, fmt.Errorf("%s: %s", f.clients[i].name, r.Error)
		}
		sum.Requests += r.Requests
		sum.Late += r.Late
		times.Merge(hdrhistogram.Import(r.Times))
	}
	return times, sum, nil
}

// look reads the figures of this moment.
func (f *fleet) look() (v figures, err error) {
	if v.user, err = memoryOf(f.servers); err != nil {
		return v, err
	}
	if v.client, err = memoryOf(f.clients); err != nil {
		return v, err
	}
	if v.slab, v.sockets, err = procfs.Kernel(); err != nil {
		return v, err
	}
	v.available, err = memoryAvailable()
	return v, err
}

func memoryOf(list []*child) (sum int64, err error) {
	for _, c := range list {
		m, err := procfs.ReadMemory(c.cmd.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.name, err)
		}
		sum += m.PSS
	}
	return sum, nil
}

// cpu returns the processor time that the servers use in d, with nothing to do.
func (f *fleet) cpu(ctx context.Context, d time.Duration) (time.Duration, error) {
	return f.cpuWhile(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	})
}

func (f *fleet) cpuWhile(do func() error) (sum time.Duration, err error) {
	before := make([]procfs.Usage, len(f.servers))
	for i, s := range f.servers {
		if before[i], err = procfs.Read(s.cmd.Process.Pid); err != nil {
			return 0, err
		}
	}
	if err := do(); err != nil {
		return 0, err
	}
	for i, s := range f.servers {
		now, err := procfs.Read(s.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += now.Since(before[i]).CPU
	}
	return sum, nil
}

func (f *fleet) stop() {
	for _, list := range [][]*child{f.clients, f.servers} {
		for _, c := range list {
			c.stop()
		}
	}
	f.clients, f.servers = nil, nil
	if f.reserved != nil {
		_ = f.reserved.Close()
	}
}
