//go:build linux

package drivertest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// files is a harness with a directory to open files in.
type files struct {
	*harness
	ring.Files
	root    string
	dir     int
	request *ring.OpenRequest
	stat    *ring.Stat
}

func startFiles(t *testing.T, open Open, cfg ring.Config) *files {
	t.Helper()
	f := &files{root: t.TempDir()}
	f.harness = start(t, open, cfg)
	f.Files = f.Driver.(ring.Files)
	f.request = (*ring.OpenRequest)(unsafe.Pointer(&offHeap(t, int(unsafe.Sizeof(ring.OpenRequest{})))[0]))
	f.stat = (*ring.Stat)(unsafe.Pointer(&offHeap(t, int(unsafe.Sizeof(ring.Stat{})))[0]))
	fd, err := unix.Open(f.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	f.must("open", err)
	f.dir = fd
	f.owned = append(f.owned, fd)
	return f
}

// write makes a file of n bytes of pattern.
func (f *files) write(name string, n int) []byte {
	f.t.Helper()
	p := pattern(make([]byte, n), len(name))
	f.must("write", os.WriteFile(filepath.Join(f.root, name), p, 0o644))
	return p
}

// once runs start, which is to begin op for t, and returns its event.
func (f *files) once(t ring.Token, op ring.Op, start func()) (got ring.Event) {
	f.t.Helper()
	for again := true; again; {
		n := 0
		f.on(t, op, func(ev *ring.Event) {
			if n++; n > 1 || ev.More {
				f.t.Fatalf("more than one event: %s", show(ev))
			}
			got = *ev
		})
		start()
		f.until(op.String(), func() bool { return n > 0 })
		again = got.Err == unix.EAGAIN || got.Err == unix.EINTR
	}
	return got
}

func (f *files) tryOpen(path string, beneath bool) (fd int, errno syscall.Errno) {
	f.t.Helper()
	if errno := f.request.Set(path, beneath); errno != 0 {
		return 0, errno
	}
	t := ring.MakeToken(7, 7)
	ev := f.once(t, ring.OpOpen, func() { f.Open(f.dir, t, f.request) })
	return ev.N, ev.Err
}

func (f *files) open(path string) int {
	f.t.Helper()
	fd, errno := f.tryOpen(path, true)
	if errno != 0 {
		f.t.Fatalf("open %q: %v", path, errno)
	}
	return fd
}

// readAll reads a file to its end, p at a time.
func (f *files) readAll(fd int, p []byte) (all []byte) {
	f.t.Helper()
	t := ring.MakeToken(8, 8)
	for {
		ev := f.once(t, ring.OpRead, func() { f.Read(fd, t, p, int64(len(all))) })
		if ev.Err != 0 || ev.N < 0 || ev.N > len(p) {
			f.t.Fatalf("read at %d: %s", len(all), show(&ev))
		}
		if ev.N == 0 {
			return all
		}
		all = append(all, p[:ev.N]...)
	}
}

func testFile(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	want := f.write("file", 100_000)
	fd := f.open("file")
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the file is not close-on-exec (%v)", err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("the file is in non-blocking mode (%v)", err)
	}
	token := ring.MakeToken(1, 1)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(f.stat)), unsafe.Sizeof(*f.stat))
	for i := range memory {
		memory[i] = 'x' // it may have been anything before
	}
	if ev := f.once(token, ring.OpStat, func() { f.Stat(fd, token, f.stat) }); ev.Err != 0 {
		t.Fatalf("stat: %s", show(&ev))
	}
	info, err := os.Stat(filepath.Join(f.root, "file"))
	f.must("stat", err)
	if f.stat.Size() != info.Size() || !f.stat.ModTime().Equal(info.ModTime()) || f.stat.Mode() != info.Mode() {
		t.Errorf("stat: %d, %v, %v; want %d, %v, %v", f.stat.Size(), f.stat.ModTime(), f.stat.Mode(),
			info.Size(), info.ModTime(), info.Mode())
	}
	if got := f.readAll(fd, offHeap(t, 8192)); !bytes.Equal(got, want) {
		t.Errorf("%d bytes read which are not the %d of the file", len(got), len(want))
	}
	f.CloseFile(fd)

	f.must("mkdir", os.Mkdir(filepath.Join(f.root, "directory"), 0o755))
	fd = f.open("directory")
	if ev := f.once(token, ring.OpStat, func() { f.Stat(fd, token, f.stat) }); ev.Err != 0 || !f.stat.Mode().IsDir() {
		t.Errorf("stat of a directory: %s, %v", show(&ev), f.stat.Mode())
	}
	f.CloseFile(fd)
	f.quiet("after the files")
}

// testFileErrors: what cannot be had is told, and nothing outside the directory
// can be reached.
func testFileErrors(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	f.write("file", 10)
	f.must("mkdir", os.MkdirAll(filepath.Join(f.root, "a/b"), 0o755))
	f.write("a/b/file", 10)
	outside := filepath.Join(t.TempDir(), "secret")
	f.must("write", os.WriteFile(outside, []byte("secret"), 0o644))
	f.must("symlink", os.Symlink(outside, filepath.Join(f.root, "out")))
	f.must("symlink", os.Symlink("../../..", filepath.Join(f.root, "a/up")))
	f.must("mkfifo", unix.Mkfifo(filepath.Join(f.root, "fifo"), 0o644))
	for _, c := range []struct {
		path    string
		beneath bool
		want    []syscall.Errno // any of these
	}{
		{"file", true, []syscall.Errno{0}},
		{"./a//b/file", true, []syscall.Errno{0}},
		{"a/b/", true, []syscall.Errno{0}},
		{"fifo", true, []syscall.Errno{0}}, // and does not wait for a writer
		{"missing", true, []syscall.Errno{unix.ENOENT}},
		{"missing/file", true, []syscall.Errno{unix.ENOENT}},
		{"file/more", true, []syscall.Errno{unix.ENOTDIR}},
		{"file/", true, []syscall.Errno{unix.ENOTDIR}},
		{"", true, []syscall.Errno{unix.ENOENT}},
		{"zero\x00byte", true, []syscall.Errno{unix.ENOENT}},
		{strings.Repeat("x", ring.PathMax), true, []syscall.Errno{unix.ENAMETOOLONG}},
		{strings.Repeat("x", 300), true, []syscall.Errno{unix.ENAMETOOLONG}},
		{"..", true, []syscall.Errno{unix.EXDEV}},
		{"a/../../x", true, []syscall.Errno{unix.EXDEV}},
		{"/etc/passwd", true, []syscall.Errno{unix.EXDEV}},
		// Without openat2 no symbolic link is followed.
		{"out", true, []syscall.Errno{unix.EXDEV, unix.ELOOP}},
		{"a/up/x", true, []syscall.Errno{unix.EXDEV, unix.ENOTDIR}},
		{"out", false, []syscall.Errno{0}},
		{"a/../file", false, []syscall.Errno{0}},
	} {
		fd, errno := f.tryOpen(c.path, c.beneath)
		ok := false
		for _, want := range c.want {
			ok = ok || errno == want
		}
		if !ok {
			t.Errorf("open %.20q, beneath %v: %v, want %v", c.path, c.beneath, errno, c.want)
		}
		if errno == 0 {
			f.CloseFile(fd)
		}
	}
	dir := f.open("a")
	p := offHeap(t, 100)
	token := ring.MakeToken(1, 1)
	if ev := f.once(token, ring.OpRead, func() { f.Read(dir, token, p, 0) }); ev.Err != unix.EISDIR {
		t.Errorf("read of a directory: %s", show(&ev))
	}
	f.CloseFile(dir)
	if ev := f.once(token, ring.OpRead, func() { f.Read(1<<20, token, p, 0) }); ev.Err != unix.EBADF {
		t.Errorf("read of no file: %s", show(&ev))
	}
	if ev := f.once(token, ring.OpStat, func() { f.Stat(1<<20, token, f.stat) }); ev.Err != unix.EBADF {
		t.Errorf("stat of no file: %s", show(&ev))
	}
	f.quiet("after the errors")
}

// testFileCold: a file that is not in memory arrives all the same, and sockets
// are served meanwhile.
func testFileCold(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{Entries: 8, CQEntries: 16})
	const size, pieces = 8 << 20, 128
	want := f.write("cold", size)
	sock, peer := f.connect()
	e := newEcho(f.harness, sock, ring.MakeToken(5, 5), offHeap(t, 9000))
	failed := make(chan error, 1)
	go func() { failed <- converse(peer, 1, 25, 9000) }()

	fd := f.open("cold")
	f.must("fsync", unix.Fsync(fd))
	f.must("fadvise", unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	p := offHeap(t, size)
	left := pieces
	var read func(i, from int)
	read = func(i, from int) {
		token, end := ring.MakeToken(uint32(100+i), 1), (i+1)*size/pieces
		f.on(token, ring.OpRead, func(ev *ring.Event) {
			switch from += ev.N; {
			case ev.Err == unix.EAGAIN || ev.Err == unix.EINTR || ev.Err == 0 && ev.N > 0 && from < end:
				read(i, from)
			case ev.Err != 0 || from != end:
				t.Fatalf("read up to %d of %d: %s", from, end, show(ev))
			default:
				left--
			}
		})
		f.Read(fd, token, p[from:end], int64(from))
	}
	for i := range pieces {
		read((i*37)%pieces, (i*37)%pieces*size/pieces)
	}
	f.until("every piece and the echo", func() bool { return left == 0 && e.eof && !e.sending })
	f.must("client", <-failed)
	if !bytes.Equal(p, want) {
		t.Errorf("what was read is not the file")
	}
	f.CloseFile(fd)
}

// testFileCancel: a cancel ends an operation or comes too late; one last event
// follows in either case.
func testFileCancel(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	want := f.write("file", 1<<20)
	fd := f.open("file")
	f.must("fsync", unix.Fsync(fd))
	f.must("fadvise", unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	const reads = 64
	p := offHeap(t, 1<<20)
	ended := 0
	for i := range reads {
		token := ring.MakeToken(uint32(i), 3)
		f.on(token, ring.OpRead, func(ev *ring.Event) {
			ended++
			if ev.More || ev.Err != 0 && ev.Err != unix.ECANCELED && ev.Err != unix.EINTR || ev.Err != 0 && ev.N != 0 {
				t.Fatalf("cancelled read: %s", show(ev))
			}
			if at := i * len(p) / reads; !bytes.Equal(p[at:at+ev.N], want[at:at+ev.N]) {
				t.Errorf("read %d: %d bytes that are not the file's", i, ev.N)
			}
		})
		at := i * len(p) / reads
		f.Read(fd, token, p[at:at+len(p)/reads], int64(at))
	}
	for i := range reads {
		f.Cancel(-1, ring.MakeToken(uint32(i), 3), ring.OpRead)
	}
	f.until("every read's end", func() bool { return ended == reads })
	f.Cancel(-1, ring.MakeToken(0, 3), ring.OpRead)
	f.Cancel(-1, ring.MakeToken(0, 3), ring.OpOpen)
	f.quiet("after the cancels")
	f.CloseFile(fd)
}

// testFileDestroy: with files in every state, Destroy gives all of them back.
func testFileDestroy(t *testing.T, open Open) {
	before := openFiles(t)
	f := startFiles(t, open, ring.Config{Entries: 8, CQEntries: 16})
	f.write("file", 4<<20)
	p := offHeap(t, 4<<20)
	fd := f.open("file")
	f.must("fsync", unix.Fsync(fd))
	f.must("fadvise", unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	for i := range 64 { // more than the queue holds
		at := i * len(p) / 64
		f.Read(fd, ring.MakeToken(uint32(i), 1), p[at:at+len(p)/64], int64(at))
	}
	requests := unsafe.Slice((*ring.OpenRequest)(unsafe.Pointer(&offHeap(t, 10*int(unsafe.Sizeof(*f.request)))[0])), 10)
	for i := range requests {
		requests[i].Set("file", true)
		f.Open(f.dir, ring.MakeToken(uint32(i), 1), &requests[i])
	}
	f.must("Wait", f.Wait(time.Millisecond))
	for i := range 10 {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		f.must("dup", err)
		f.CloseFile(dup)
		if i < 5 {
			f.must("Wait", f.Wait(0))
		}
	}
	f.destroy()
	unix.Close(fd)
	for _, fd := range f.owned {
		unix.Close(fd)
	}
	f.owned = nil
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// testFileNoAllocations: reading what is in memory allocates nothing.
func testFileNoAllocations(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	f.write("file", 4096)
	fd := f.open("file")
	p := offHeap(t, 4096)
	token := ring.MakeToken(1, 1)
	bad := ""
	round := func() {
		f.Read(fd, token, p, 0)
		for !f.Next(&f.event) {
			if err := f.Wait(patience); err != nil {
				bad = err.Error()
				return
			}
		}
		if f.event.Op != ring.OpRead || f.event.N != len(p) {
			bad = show(&f.event)
		}
	}
	for range 100 {
		round()
	}
	allocations := testing.AllocsPerRun(1000, round)
	if bad != "" {
		t.Fatal(bad)
	}
	if allocations != 0 {
		t.Errorf("%v allocations per read, want none", allocations)
	}
	f.CloseFile(fd)
}
