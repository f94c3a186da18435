//go:build linux

package conn

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/fallback"
	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

// fileHandler sends a file to everybody who sends a byte.
type fileHandler struct {
	root   *File // nil: the working directory
	name   string
	within bool
	head   string
	skip   int64
	stall  time.Duration
	ended  chan error // of every transfer
	closed chan error // of every connection
}

func newFileHandler(name string) *fileHandler {
	return &fileHandler{name: name, ended: make(chan error, 1000), closed: make(chan error, 1000)}
}

func (h *fileHandler) Opened(*Conn)              {}
func (h *fileHandler) Drained(*Conn)             {}
func (h *fileHandler) TimedOut(c *Conn, _ Timer) { c.Abort(os.ErrDeadlineExceeded) }
func (h *fileHandler) EOF(c *Conn)               { c.Close() }
func (h *fileHandler) Closed(_ *Conn, err error) { h.closed <- err }

func (h *fileHandler) Data(c *Conn, p []byte) int {
	if p[0] == '.' { // not a file
		c.Write([]byte("!"))
		return 1
	}
	ref := c.Ref()
	c.Loop().OpenFile(h.root, h.name, h.within, func(f *File, err error) {
		if err != nil {
			h.ended <- err
			return
		}
		defer f.Release()
		if c := ref.Conn(); c != nil && !c.Closing() {
			c.SendFile([]byte(h.head), f, h.skip, f.Size()-h.skip, h.stall, func(c *Conn, err error) {
				h.ended <- err
				if err != nil {
					c.Abort(err)
				} else {
					c.Close()
				}
			})
		}
	})
	return 1
}

// neverDirect has files read, whatever their size.
const neverDirect = 1 << 62

// runBoth runs f on each driver, with files sent directly and read.
func runBoth(t *testing.T, f func(t *testing.T, kind DriverKind, o Options)) {
	t.Helper()
	run(t, func(t *testing.T, kind DriverKind) {
		t.Run("direct", func(t *testing.T) { f(t, kind, Options{}) })
		t.Run("read", func(t *testing.T) { f(t, kind, Options{directFrom: neverDirect}) })
	})
}

func makeFile(t testing.TB, size int) (name string, content []byte) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file")
	content = make([]byte, size)
	for i := range content {
		content[i] = byte(i ^ i>>8 ^ i>>16)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name, content
}

func TestSendFile(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		for _, size := range []int{1, 4000, 64 << 10, 1<<20 + 17} {
			for _, o := range []Options{{}, {directFrom: 1}, {directFrom: neverDirect}, {directFrom: 1, HighWater: 1000, LowWater: 1},
				{HighWater: 1000, directFrom: neverDirect}, {MaxQueued: slabSize * 4, directFrom: neverDirect}} {
				name, content := makeFile(t, size)
				h := newFileHandler(name)
				h.head, h.skip = "a head, and ", int64(size/3)
				e := serve(t, kind, h, o)
				want := h.head + string(content[size/3:])
				results := make(chan []byte)
				const clients = 4
				for range clients {
					nc := e.dial()
					nc.Write([]byte("x"))
					go func() {
						got, _ := io.ReadAll(nc)
						results <- got
					}()
				}
				for range clients {
					if got := wait(t, "a client", results); string(got) != want {
						t.Errorf("%d bytes, %+v: %d bytes received which are not the %d sent", size, o, len(got), len(want))
					}
					if err := wait(t, "the end of a transfer", h.ended); err != nil {
						t.Errorf("the transfer: %v", err)
					}
				}
				e.stop()
			}
		}
	})
}

func TestOpenFileErrors(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		dir := t.TempDir()
		if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
			t.Fatal(err)
		}
		e := serve(t, kind, newFileHandler(""), Options{})
		results := make(chan error, 1)
		open := func(root *File, path string, then func(*File)) error {
			e.do(func(l *Loop) {
				l.OpenFile(root, path, root != nil, func(f *File, err error) {
					if err == nil {
						then(f)
					}
					results <- err
				})
			})
			return wait(t, "the open", results)
		}
		var root *File
		if err := open(nil, dir, func(f *File) { root = f }); err != nil || !root.Mode().IsDir() {
			t.Fatalf("open of the directory: %v", err)
		}
		for path, want := range map[string]error{
			"missing": fs.ErrNotExist, "..": syscall.EXDEV, "out/passwd": syscall.EXDEV, "": fs.ErrNotExist,
		} {
			if err := open(root, path, func(f *File) { f.Release() }); !errors.Is(err, want) {
				t.Errorf("open %q: %v, want %v", path, err, want)
			}
		}
		// More at once than may be.
		e.do(func(l *Loop) {
			for range 3 * maxOpening {
				l.OpenFile(root, "missing", true, func(_ *File, err error) { results <- err })
			}
		})
		for range 3 * maxOpening {
			if err := wait(t, "an open", results); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open: %v", err)
			}
		}
		e.do(func(*Loop) { root.Release() })
	})
}

// TestSendFileTruncated: a file that becomes shorter ends the transfer with an
// error.
func TestSendFileTruncated(t *testing.T) {
	runBoth(t, func(t *testing.T, kind DriverKind, o Options) {
		name, _ := makeFile(t, 16<<20)
		h := newFileHandler(name)
		e := serve(t, kind, h, o)
		nc := e.dial()
		nc.Write([]byte("x"))
		if _, err := io.ReadFull(nc, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, nc)
		if err := wait(t, "the end of the transfer", h.ended); err != ErrTruncated {
			t.Errorf("after %d bytes: %v, want ErrTruncated", n, err)
		}
	})
}

// TestSendFileToSlowReader: of a large file to somebody who does not read, no
// more than HighWater bytes are in memory.
func TestSendFileToSlowReader(t *testing.T) {
	runBoth(t, func(t *testing.T, kind DriverKind, o Options) {
		name, content := makeFile(t, 32<<20)
		h := newFileHandler(name)
		e := serve(t, kind, h, o)
		var clients []io.ReadWriteCloser
		for range 20 {
			nc := e.dial()
			nc.Write([]byte("x"))
			clients = append(clients, nc)
		}
		first := make([]byte, 1000)
		for _, nc := range clients {
			if _, err := io.ReadFull(nc, first); err != nil {
				t.Fatal(err)
			}
		}
		e.do(func(l *Loop) {
			l.Each(func(c *Conn) {
				if c.queued > l.opts.HighWater {
					t.Errorf("%d bytes queued", c.queued)
				}
			})
			most := 20*3*largeSize + slabSize
			if o.directFrom == 0 {
				most = 0
			}
			if l.large.slabs*slabSize > most {
				t.Errorf("%d MiB of buffers for 20 connections", l.large.slabs)
			}
		})
		got, err := io.ReadAll(clients[0])
		if err != nil || !bytes.Equal(append(first, got...), content) {
			t.Errorf("%d bytes received which are not the file's: %v", len(got), err)
		}
	})
}

// TestSendFileCancelled: connections that end in the middle give everything
// back, with the disk answering before or after.
func TestSendFileCancelled(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, _ := makeFile(t, 4<<20)
		late := make(chan *drivertest.Late, 1)
		h := newFileHandler(name)
		e := serve(t, kind, h, Options{OpenDriver: lateDriver(kind, late)})
		disk := <-late
		before := countFiles(t)
		disk.LetGo()
		const clients = 10
		var all []io.ReadWriteCloser
		for range clients {
			nc := e.dial()
			nc.Write([]byte("x"))
			all = append(all, nc)
		}
		buf := make([]byte, 100)
		for _, nc := range all { // the first bytes have come, the next reads are held
			if _, err := io.ReadFull(nc, buf); err != nil {
				t.Fatal(err)
			}
		}
		disk.Hold()
		for _, nc := range all[:clients/2] {
			nc.Close()
		}
		e.do(func(l *Loop) {
			l.Each(func(c *Conn) { c.Abort(io.ErrUnexpectedEOF) })
		})
		for range clients {
			wait(t, "the connections' ends", h.closed) // whatever the disk does
		}
		other := e.dial()
		other.Write([]byte("."))
		if _, err := io.ReadFull(other, buf[:1]); err != nil {
			t.Fatal(err)
		}
		other.Close()
		wait(t, "the other's end", h.closed)
		disk.LetGo()
		for _, nc := range all {
			nc.Close()
		}
		eventually(t, "every operation's end", func() bool {
			n := 0
			e.do(func(l *Loop) { n = l.files.inFlight })
			return n == 0
		})
		eventually(t, "every file's close", func() bool { return countFiles(t) == before })
	})
}

// TestSlowDisk: while the disk takes its time, others are served; an engine that
// ends does not wait for it.
func TestSlowDisk(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		name, content := makeFile(t, 100_000)
		late := make(chan *drivertest.Late, 1)
		h := newFileHandler(name)
		e := serve(t, kind, h, Options{OpenDriver: lateDriver(kind, late)})
		disk := <-late
		slow, quick := e.dial(), e.dial()
		slow.Write([]byte("x"))
		buf := make([]byte, 1)
		for range 100 {
			quick.Write([]byte("."))
			if _, err := io.ReadFull(quick, buf); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the held completion", func() bool { return disk.Held() == 1 })
		disk.LetGo()
		if got, err := io.ReadAll(slow); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes received which are not the file's: %v", len(got), err)
		}
		disk.Hold()
		e.dial().Write([]byte("x"))
		eventually(t, "the held completion", func() bool { return disk.Held() == 1 })
		e.stop()
	})
}

// lateDriver opens the driver of a kind under a slow disk.
func lateDriver(kind DriverKind, late chan<- *drivertest.Late) func(ring.Config) (ring.Driver, error) {
	return func(c ring.Config) (ring.Driver, error) {
		var d ring.Driver
		var err error
		if kind == IOUring {
			d, err = ring.Open(c)
		} else if d, err = fallback.Open(c); err == nil {
			d, err = fallback.WithFiles(d)
		}
		if err != nil {
			return nil, err
		}
		l := drivertest.NewLate(d)
		late <- l
		return l, nil
	}
}

// TestUringWithoutFiles: a ring that does not do files gets them from elsewhere.
func TestUringWithoutFiles(t *testing.T) {
	requireDriver(t, IOUring)
	name, content := makeFile(t, 1<<20)
	h := newFileHandler(name)
	e := serve(t, IOUring, h, Options{OpenDriver: func(c ring.Config) (ring.Driver, error) {
		u, err := ring.Open(c)
		if err != nil {
			return nil, err
		}
		return fallback.WithFiles(u)
	}})
	nc := e.dial()
	nc.Write([]byte("x"))
	if got, err := io.ReadAll(nc); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes received which are not the file's: %v", len(got), err)
	}
}

// countFiles counts the descriptors of regular files that this process has open.
func countFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		var s unix.Stat_t
		if unix.Stat("/proc/self/fd/"+e.Name(), &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFREG {
			n++
		}
	}
	return n
}
