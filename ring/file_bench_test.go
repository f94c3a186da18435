//go:build linux

package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkFileToSocket is why there is no splice here: 64 KiB of a file in the
// page cache to a connection, by a read and a send and by two splices through a
// pipe. In the kernel a splice always goes to a worker thread, which makes 4 KiB
// cost four times as much; at 64 KiB it saves a quarter, for two descriptors each.
// Larger files go by sendfile(2), see fallback.Files.
// cpu-µs is the processor time of all threads, the peer's (which throws everything
// away) too.
func BenchmarkFileToSocket(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, way := range []string{"read and send", "splice"} {
			b.Run(fmt.Sprintf("%s/%d", way, size), func(b *testing.B) { benchmarkFile(b, way == "splice", size) })
		}
	}
}

func benchmarkFile(b *testing.B, splice bool, size int) {
	const opSplice = 30 // IORING_OP_SPLICE
	r := testRing(b, Tier61, 64, 64, opRead, opSend, opSplice)
	name := filepath.Join(b.TempDir(), "file")
	must(b, os.WriteFile(name, make([]byte, size), 0o644))
	file, err := unix.Open(name, unix.O_RDONLY, 0)
	must(b, err)
	defer unix.Close(file)
	out, peer := tcpPair(b)
	go func() {
		for p := make([]byte, 1<<20); ; {
			if n, _, err := unix.Recvfrom(peer, p, unix.MSG_TRUNC); n <= 0 || err != nil {
				return
			}
		}
	}()
	defer unix.Shutdown(out, unix.SHUT_RDWR)
	var pipe [2]int
	must(b, unix.Pipe(pipe[:]))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	p, err := mapMemory(size)
	must(b, err)
	defer unix.Munmap(p)
	do := func(prepare func(*sqe)) int {
		prepare(r.sq.take())
		_, errno := r.submit(r.sq.publish())
		var c cqe
		for (errno == 0 || errno == unix.EINTR) && r.cq.empty() {
			errno = r.wait(-1)
		}
		if !r.cq.take(&c) || c.res <= 0 {
			b.Fatal(errors.Join(errno, unix.Errno(-c.res)))
		}
		return int(c.res)
	}
	move := func(from, to, n int, offset uint64) func(*sqe) {
		return func(e *sqe) {
			*e = sqe{opcode: opSplice, fd: int32(to), off: ^uint64(0), addr: offset, len: uint32(n)}
			e.spliceFrom = int32(from)
		}
	}
	b.SetBytes(int64(size))
	begun := cpuTime(b)
	for b.Loop() {
		for at := 0; at < size; {
			if !splice {
				n := do(func(e *sqe) { e.prepareRead(file, p[at:], int64(at), 0) })
				do(func(e *sqe) { e.prepareSend(out, p[at:at+n], 0) })
				at += n
				continue
			}
			n := do(move(file, pipe[1], size-at, uint64(at)))
			for left := n; left > 0; {
				left -= do(move(pipe[0], out, left, ^uint64(0)))
			}
			at += n
		}
	}
	b.ReportMetric(float64((cpuTime(b)-begun).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
