//go:build linux

package drivertest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// RunSendFile runs the contract of ring.FileSender, which the driver that open
// makes implements.
func RunSendFile(t *testing.T, open func(t *testing.T, cfg ring.Config) ring.Driver) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"SendFile", testSendFile},
		{"SendFileUnix", testSendFileUnix},
		{"SendFileToSlowReader", testSendFileToSlowReader},
		{"SendFileErrors", testSendFileErrors},
		{"SendFileToReset", testSendFileToReset},
		{"SendFileCancel", testSendFileCancel},
		{"SendFileBesideReceive", testSendFileBesideReceive},
		{"SendFileMany", testSendFileMany},
		{"SendFileDestroy", testSendFileDestroy},
		{"SendFileNoAllocations", testSendFileNoAllocations},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// part is a part of a file on its way.
type part struct {
	f      *files
	fd     int
	token  ring.Token
	file   int
	at, to int64
	full   bool
	events int
	last   ring.Event
	over   bool // all of it, or what there is, or an error
}

// sendPart sends what file holds from at to to.
func (f *files) sendPart(fd int, t ring.Token, file int, at, to int64) *part {
	f.t.Helper()
	p := &part{f: f, fd: fd, token: t, file: file, at: at, to: to}
	f.on(t, ring.OpSendFile, p.handle)
	p.next()
	return p
}

func (p *part) next() {
	p.f.Driver.(ring.FileSender).SendFile(p.fd, p.token, p.file, p.at, p.to-p.at, p.full)
}

func (p *part) handle(ev *ring.Event) {
	t := p.f.t
	t.Helper()
	if p.over || ev.More || ev.N < 0 || int64(ev.N) > min(p.to-p.at, ring.SendFileMax) || ev.Err != 0 && ev.N != 0 {
		t.Fatalf("send of a file: %s", show(ev))
	}
	p.events++
	p.full = int64(ev.N) < min(p.to-p.at, ring.SendFileMax)
	p.last = *ev
	p.at += int64(ev.N)
	switch {
	case ev.Err == unix.EINTR, ev.Err == unix.EAGAIN, ev.N > 0 && p.at < p.to:
		p.next()
	default:
		p.over = true
	}
}

func (p *part) done() bool { return p.over }

// readAll reads n bytes of peer on another goroutine.
func readFrom(peer io.Reader, n int64, slowly bool) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		var b bytes.Buffer
		for slowly && b.Len() < 256<<10 && int64(b.Len()) < n { // so that the socket's buffer is full for a while
			time.Sleep(time.Millisecond)
			if _, err := io.CopyN(&b, peer, min(64<<10, n-int64(b.Len()))); err != nil {
				break
			}
		}
		_, _ = io.CopyN(&b, peer, n-int64(b.Len()))
		got <- b.Bytes()
	}()
	return got
}

func testSendFile(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	const size = 3<<20 + 17
	want := f.write("file", size)
	file := f.open("file")
	fd, peer := f.connect()
	for i, c := range []struct{ at, to int64 }{{0, 1}, {0, 4096}, {5, 5000}, {1<<20 - 1, size}, {0, size}, {size - 1, size}} {
		got := readFrom(peer, c.to-c.at, false)
		p := f.sendPart(fd, ring.MakeToken(1, uint32(i)), file, c.at, c.to)
		f.until("the end", p.done)
		if p.last.Err != 0 || p.at != c.to {
			t.Fatalf("%d to %d: %s", c.at, c.to, show(&p.last))
		}
		if !bytes.Equal(<-got, want[c.at:c.to]) {
			t.Errorf("%d to %d: the peer read something else", c.at, c.to)
		}
	}
	// A file that is shorter than that, or has been made longer.
	got := readFrom(peer, size, false)
	p := f.sendPart(fd, ring.MakeToken(1, 99), file, 0, size+100)
	f.until("the end of a short file", p.done)
	if p.last.Err != 0 || p.last.N != 0 || p.at != size {
		t.Errorf("behind the end at %d: %s", p.at, show(&p.last))
	}
	<-got
	p = f.sendPart(fd, ring.MakeToken(1, 98), file, size+1000, size+2000)
	f.until("the end behind the end", p.done)
	if p.last.Err != 0 || p.last.N != 0 {
		t.Errorf("behind the end: %s", show(&p.last))
	}
	f.must("truncate", os.Truncate(filepath.Join(f.root, "file"), size+50))
	got = readFrom(peer, 50, false)
	p = f.sendPart(fd, ring.MakeToken(1, 97), file, size, size+100)
	f.until("the end of a longer file", p.done)
	if !bytes.Equal(<-got, make([]byte, 50)) {
		t.Error("the peer read something else than the new end")
	}
	// The driver has not learnt of the room from anybody who was refused.
	got = readFrom(peer, 1, false)
	if n := f.sendAll(fd, ring.MakeToken(1, 96), []byte("x")); n != 1 || string(<-got) != "x" {
		t.Error("a send behind a file did not arrive")
	}
	f.CloseFile(file)
	f.quiet("after the file")
}

func testSendFileUnix(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	const size = 2 << 20
	want := f.write("file", size)
	file := f.open("file")
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	f.must("socketpair", err)
	f.owned = append(f.owned, pair[0])
	end := os.NewFile(uintptr(pair[1]), "peer")
	peer, err := net.FileConn(end)
	f.must("FileConn", err)
	end.Close()
	defer peer.Close()
	got := readFrom(peer, size, true)
	p := f.sendPart(pair[0], ring.MakeToken(1, 1), file, 0, size)
	f.until("the end", p.done)
	if !bytes.Equal(<-got, want) || p.last.Err != 0 {
		t.Errorf("the peer read something else: %s", show(&p.last))
	}
}

// testSendFileToSlowReader: what does not fit waits for room, without a goroutine
// and without turning round.
func testSendFileToSlowReader(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	const size = 8 << 20
	want := f.write("file", size)
	file := f.open("file")
	fd, peer := f.connect()
	f.must("read buffer", peer.SetReadBuffer(64<<10))
	p := f.sendPart(fd, ring.MakeToken(1, 1), file, 0, size)
	f.until("something", func() bool { return p.events > 0 })
	before := 0
	for stuck := 0; stuck < 3; { // until nothing goes any more
		if before = p.events; f.Next(&f.event) {
			f.dispatch()
		} else {
			f.must("Wait", f.Wait(10*time.Millisecond))
		}
		if stuck++; p.events > before {
			stuck = 0
		}
	}
	enters := f.Stats().Enters
	f.quiet("while the peer does not read")
	if n := f.Stats().Enters - enters; n > 20 {
		t.Errorf("%d system calls while there is nothing to do", n)
	}
	got := readFrom(peer, size, true)
	f.until("the end", p.done)
	if p.last.Err != 0 || !bytes.Equal(<-got, want) {
		t.Errorf("the peer read something else: %s", show(&p.last))
	}
}

func testSendFileErrors(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	f.write("file", 10)
	f.must("mkdir", os.Mkdir(filepath.Join(f.root, "directory"), 0o755))
	fd, _ := f.connect()
	file, dir := f.open("file"), f.open("directory")
	for i, c := range []struct {
		fd, file int
		want     unix.Errno
	}{
		{fd, 1 << 20, unix.EBADF},
		{fd, dir, unix.EINVAL},
		{dir, file, unix.EBADF}, // not open for writing
	} {
		p := f.sendPart(c.fd, ring.MakeToken(1, uint32(i)), c.file, 0, 10)
		f.until("the error", p.done)
		if p.last.Err != c.want && (c.file != dir || p.last.Err != unix.EISDIR) {
			t.Errorf("case %d: %s, want %v", i, show(&p.last), c.want)
		}
	}
	f.CloseFile(file)
	f.CloseFile(dir)
	f.quiet("after the errors")
}

func testSendFileToReset(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	const size = 16 << 20
	f.write("file", size)
	file := f.open("file")
	for i := range 3 {
		fd, peer := f.connect()
		p := f.sendPart(fd, ring.MakeToken(uint32(i), 1), file, 0, size)
		if i > 0 { // else at any moment
			f.until("the first part", func() bool { return p.events > 0 })
		}
		if i > 1 {
			f.quietly(20 * time.Millisecond)
		}
		reset(f.harness, peer)
		f.until("the end", p.done)
		if !isReset(p.last.Err) {
			t.Errorf("after a reset: %s", show(&p.last))
		}
	}
	f.quiet("after the resets")
}

// quietly takes what comes for a while.
func (f *files) quietly(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if f.Next(&f.event) {
			f.dispatch()
		} else {
			f.must("Wait", f.Wait(time.Until(end)))
		}
	}
}

// testSendFileCancel: waiting for a worker, in its hands, or waiting for room, it
// ends with what was taken or with ECANCELED; the peer reads exactly what was
// reported.
func testSendFileCancel(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	const size = 16 << 20
	want := f.write("file", size)
	file := f.open("file")
	fd, peer := f.connect()
	token := ring.MakeToken(1, 1)
	sender := f.Driver.(ring.FileSender)
	sent, events, cancelled := 0, 0, 0
	f.on(token, ring.OpSendFile, func(ev *ring.Event) {
		events++
		if ev.More || ev.Err != 0 && ev.Err != unix.ECANCELED || ev.Err != 0 && ev.N != 0 {
			t.Fatalf("cancelled: %s", show(ev))
		}
		if ev.Err == unix.ECANCELED {
			cancelled++
		}
		sent += ev.N
	})
	stuck := 0
	for round := 0; stuck < 3; round++ {
		if round == 1000 || sent == size {
			t.Fatalf("%d bytes sent in %d rounds to a peer that does not read", sent, round)
		}
		before, at := events, sent
		sender.SendFile(fd, token, file, int64(sent), int64(size-sent), round%2 == 0)
		switch round % 3 {
		case 1:
			f.must("Wait", f.Wait(0))
		case 2:
			f.quietly(5 * time.Millisecond)
		}
		f.Cancel(fd, token, ring.OpSendFile)
		f.until("the end", func() bool { return events == before+1 })
		if stuck++; sent > at {
			stuck = 0
		}
	}
	f.Cancel(fd, token, ring.OpSendFile)
	f.quiet("after the cancels")
	if cancelled == 0 {
		t.Error("nothing was cancelled")
	}
	f.close(fd)
	got, err := io.ReadAll(peer)
	f.must("read", err)
	if !bytes.Equal(got, want[:sent]) {
		t.Errorf("%d bytes reported as sent, the peer read %d or others", sent, len(got))
	}
}

// testSendFileBesideReceive: what the peer sends meanwhile arrives, whether the
// receive was armed before, or is cancelled and begun anew all the time.
func testSendFileBesideReceive(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{BufferSize: 1024, Buffers: 64})
	const size = 8 << 20
	want := f.write("file", size)
	file := f.open("file")
	memory := pattern(offHeap(t, 1<<20), 3)
	for i, cancels := range []bool{false, true} {
		fd, peer := f.connect()
		token := ring.MakeToken(uint32(i), 1)
		s := f.receive(fd, token)
		input := pattern(make([]byte, 1<<20), 7)
		begin, failed := make(chan bool, 2), make(chan error, 1)
		go func() {
			<-begin
			_, err := peer.Write(input)
			failed <- err
		}()
		if !cancels { // else a receive that is begun finds nothing to do
			begin <- true
		}
		got := readFrom(peer, size, true)
		p := f.sendPart(fd, token, file, 0, size)
		for seen := -1; ; {
			f.until("progress", func() bool { return p.over || p.events > seen || !s.armed })
			seen = p.events
			if p.over {
				begin <- true
				f.until("all of the input", func() bool {
					if !s.armed { // or no longer: the last cancel may be on its way yet
						s.arm()
					}
					return len(s.data) == len(input)
				})
				break
			}
			if cancels {
				if s.armed {
					f.Cancel(fd, token, ring.OpReceive)
				} else {
					s.arm()
				}
			}
		}
		if p.last.Err != 0 || !bytes.Equal(<-got, want) {
			t.Errorf("the peer read something else: %s", show(&p.last))
		}
		f.must("peer", <-failed)
		if !bytes.Equal(s.data, input) {
			t.Errorf("%d bytes received which are not the %d sent", len(s.data), len(input))
		}
		if s.again > 64 { // once for each buffer that the driver adds
			t.Errorf("a receive was begun again %d times", s.again)
		}
		for s.armed { // again, if a lack of buffers was faster than the cancel: then s has begun anew
			again := s.again
			f.Cancel(fd, token, ring.OpReceive)
			f.until("the receive's end", func() bool { return !s.armed || s.again > again })
		}
		// From now on everything waits, as ever.
		s.arm()
		f.quiet("with a receive after the file")
		got = readFrom(peer, size, true)
		for at := 0; at < size; at += len(memory) {
			f.sendAll(fd, token, memory)
		}
		if out := <-got; len(out) != size || !bytes.Equal(out[size-len(memory):], memory) {
			t.Errorf("sends behind the file: %d bytes of %d", len(out), size)
		}
	}
}

// testSendFileMany: more at once than there are workers, all to their end.
func testSendFileMany(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{Entries: 8, CQEntries: 16})
	const size, peers = 1<<20 + 1, 30
	want := f.write("file", size)
	file := f.open("file")
	var parts []*part
	var got []<-chan []byte
	for i := range peers {
		fd, peer := f.connect()
		got = append(got, readFrom(peer, size, i%3 == 0))
		parts = append(parts, f.sendPart(fd, ring.MakeToken(uint32(i), 1), file, 0, size))
	}
	sock, peer := f.connect()
	e := newEcho(f.harness, sock, ring.MakeToken(1000, 1), offHeap(t, 9000))
	failed := make(chan error, 1)
	go func() { failed <- converse(peer, 1, 25, 9000) }()
	f.until("every file and the echo", func() bool {
		for _, p := range parts {
			if !p.over {
				return false
			}
		}
		return e.eof && !e.sending
	})
	f.must("client", <-failed)
	for i := range parts {
		if p := parts[i]; p.last.Err != 0 || !bytes.Equal(<-got[i], want) {
			t.Errorf("peer %d read something else: %s", i, show(&p.last))
		}
	}
}

// testSendFileDestroy: with files in every state on their way, Destroy gives
// everything back.
func testSendFileDestroy(t *testing.T, open Open) {
	before := openFiles(t)
	f := startFiles(t, open, ring.Config{Entries: 8, CQEntries: 16})
	const size = 16 << 20
	f.write("file", size)
	file := f.open("file")
	var peers []net.Conn
	for i := range 20 {
		fd, peer := f.connect()
		peers = append(peers, peer)
		f.sendPart(fd, ring.MakeToken(uint32(i), 1), file, 0, size)
		if i == 10 {
			f.quietly(20 * time.Millisecond)
		}
	}
	f.destroy()
	for _, peer := range peers {
		peer.Close()
	}
	for _, fd := range append(f.owned, file) {
		f.must(fmt.Sprint("close of ", fd), unix.Close(fd))
	}
	f.owned = nil
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// testSendFileNoAllocations: but for what Go's runtime needs to start a goroutine.
func testSendFileNoAllocations(t *testing.T, open Open) {
	f := startFiles(t, open, ring.Config{})
	f.write("file", 4096)
	file := f.open("file")
	fd, peer := f.connect()
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	sender, token := f.Driver.(ring.FileSender), ring.MakeToken(1, 1)
	bad := ""
	round := func() {
		sender.SendFile(fd, token, file, 0, 4096, false)
		for !f.Next(&f.event) {
			if err := f.Wait(patience); err != nil {
				bad = err.Error()
				return
			}
		}
		if f.event.Op != ring.OpSendFile || f.event.N != 4096 {
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
		t.Errorf("%v allocations per part, want none", allocations)
	}
}
