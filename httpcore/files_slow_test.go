//go:build linux

package httpcore

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/conn"
	"github.com/ringcore/ringcore/fallback"
	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

// slowDisk makes the server's disk as slow as the test wants it.
type slowDisk struct {
	mu    sync.Mutex
	disks []*drivertest.Late
}

func (d *slowDisk) option(m mode) Option {
	return func(o *options) {
		o.tune.conn = func(c *conn.Options) {
			c.OpenDriver = func(cfg ring.Config) (ring.Driver, error) {
				var under ring.Driver
				var err error
				if m.driver == IOUring {
					cfg.MaxTier = m.tier
					under, err = ring.Open(cfg)
				} else if under, err = fallback.Open(cfg); err == nil {
					under, err = fallback.WithFiles(under)
				}
				if err != nil {
					return nil, err
				}
				late := drivertest.NewLate(under)
				d.mu.Lock()
				d.disks = append(d.disks, late)
				d.mu.Unlock()
				return late, nil
			}
		}
	}
}

func (d *slowDisk) each(f func(*drivertest.Late)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, late := range d.disks {
		f(late)
	}
}

func (d *slowDisk) held() (n int) {
	d.each(func(l *drivertest.Late) { n += l.Held() })
	return n
}

// TestFilesSlowDisk: while the disk takes its time over one request, the loop
// serves others; clients that go meanwhile cost nothing.
func TestFilesSlowDisk(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.txt", "a file")
		f := (&Files{Root: s.root}).Handler()
		disk := &slowDisk{}
		plain := m
		plain.tier = TierBest // the engine does not know that of a driver which it has not chosen
		ts := serve(t, plain, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/hello" {
				hello(ctx)
			} else {
				f(ctx)
			}
		}}, WithLoops(1), disk.option(m))
		c, other := ts.dial(), ts.dial()
		c.send("GET /file.txt HTTP/1.1\r\nHost: test\r\n\r\nGET /hello HTTP/1.1\r\nHost: test\r\n\r\n")
		for range 3 {
			gone := ts.dial()
			gone.send("GET /file.txt HTTP/1.1\r\nHost: test\r\n\r\n")
			gone.reset()
		}
		for range 50 {
			if resp := other.ask("GET", "/hello"); resp.body != "Hello, World!" {
				t.Fatalf("%q", resp.body)
			}
		}
		eventually(t, "the connections that have gone", func() bool { return ts.GetOpenConnectionsCount() == 2 })
		eventually(t, "the held open", func() bool { return disk.held() > 0 })
		disk.each((*drivertest.Late).LetGo)
		if resp := c.response("GET"); resp.body != "a file" {
			t.Errorf("%q", resp.body)
		}
		if resp := c.response("GET"); resp.body != "Hello, World!" {
			t.Errorf("%q", resp.body)
		}
	})
}

// TestFilesCold: the same with the disk itself: of a file that is not in memory
// every octet arrives, and others are served meanwhile.
func TestFilesCold(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		const size = 16 << 20
		s.write("cold.bin", varied(size))
		s.write("warm.txt", "warm")
		name := filepath.Join(s.root, "cold.bin")
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		ts := s.serve(m, &Files{}, WithLoops(1))
		c, other := ts.dial(), ts.dial()
		c.send("GET /cold.bin HTTP/1.1\r\nHost: test\r\n\r\n")
		got := make(chan string, 1)
		go func() {
			resp, _ := c.tryResponse("GET")
			got <- resp.body
		}()
		for {
			if resp := other.ask("GET", "/warm.txt"); resp.body != "warm" {
				t.Fatalf("%q", resp.body)
			}
			select {
			case body := <-got:
				if body != varied(size) {
					t.Errorf("%d octets which are not the file's", len(body))
				}
				return
			default:
			}
		}
	})
}
