//go:build linux

package simdriver

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"github.com/ringcore/ringcore/ring"
)

// FirstFile is the number of the first simulated file.
const FirstFile = 1 << 24

var _ ring.Files = (*Driver)(nil)

// fileKey names an operation on a file in flight.
type fileKey struct {
	token ring.Token
	op    ring.Op
}

// AddFile makes a file, or replaces what it holds: files that are open see that
// too, so a shorter content truncates them.
func (d *Driver) AddFile(name string, content []byte) {
	if d.files == nil {
		d.files = make(map[string][]byte)
		d.open = make(map[int]string)
		d.fileOps = make(map[fileKey]*operation)
	}
	d.files[name] = content
}

// OpenFiles returns how many files are open.
func (d *Driver) OpenFiles() int { return len(d.open) }

// fileOp begins an operation on a file. The disk answers some time later, or the
// operation is interrupted.
func (d *Driver) fileOp(o *operation, fd int, answer func() ring.Event) {
	d.checkAlive(o.op.String())
	key := fileKey{o.token, o.op}
	if d.fileOps[key] != nil {
		d.violate("a second %v for %x", o.op, o.token)
		return
	}
	if o.op != ring.OpOpen && d.open[fd] == "" {
		d.violate("%v of file %d, which is not open", o.op, fd)
		return
	}
	if d.fileOps == nil {
		d.AddFile("", nil)
	}
	d.fileOps[key] = o
	o.file = fd
	d.tracef("%v of file %d for %x", o.op, fd, o.token)
	d.command(func() {
		o.kernel = true
		at := d.now
		if d.chance(d.faults.late) {
			at += d.delay()
		}
		d.at(at, func() {
			switch {
			case !o.kernel: // cancelled
			case d.chance(d.faults.again):
				d.complete(o, ring.Event{Err: againErrors[d.rng.IntN(len(againErrors))]})
			default:
				if o.data != nil && d.checksum(o.data) != o.sum {
					d.violate("the buffer of a read for %x was changed before its completion", o.token)
				}
				ev := answer()
				if o.data != nil {
					o.sum = d.checksum(o.data)
				}
				d.complete(o, ev)
			}
		})
	})
}

// Open implements ring.Files.
func (d *Driver) Open(dir int, t ring.Token, r *ring.OpenRequest) {
	d.fileOp(&operation{token: t, op: ring.OpOpen}, dir, func() ring.Event {
		name := r.Path()
		if _, there := d.files[name]; !there {
			return ring.Event{Err: syscall.ENOENT}
		}
		fd := FirstFile + d.lastFile
		d.lastFile++
		d.open[fd] = name
		return ring.Event{N: fd}
	})
}

// Stat implements ring.Files.
func (d *Driver) Stat(fd int, t ring.Token, s *ring.Stat) {
	d.fileOp(&operation{token: t, op: ring.OpStat}, fd, func() ring.Event {
		raw := (*[256]byte)(unsafe.Pointer(s)) // struct statx
		clear(raw[:])
		binary.NativeEndian.PutUint16(raw[28:], syscall.S_IFREG|0o644)
		binary.NativeEndian.PutUint64(raw[40:], uint64(len(d.files[d.open[fd]])))
		return ring.Event{}
	})
}

// Read implements ring.Files.
func (d *Driver) Read(fd int, t ring.Token, p []byte, offset int64) {
	if len(p) == 0 {
		d.violate("a read of nothing of file %d", fd)
	}
	d.fileOp(&operation{token: t, op: ring.OpRead, data: p, sum: d.checksum(p)}, fd, func() ring.Event {
		content := d.files[d.open[fd]]
		n := copy(p, content[min(offset, int64(len(content))):])
		if n > 0 && d.chance(d.faults.shortSend) {
			n = d.part(n)
		}
		return ring.Event{N: n}
	})
}

// CloseFile implements ring.Files.
func (d *Driver) CloseFile(fd int) {
	d.news = true
	d.checkAlive("CloseFile")
	if _, open := d.open[fd]; !open {
		d.violate("CloseFile of %d, which is not open", fd)
	}
	for _, o := range d.fileOps {
		if o.op != ring.OpOpen && o.file == fd {
			d.violate("CloseFile of %d with a %v in flight", fd, o.op)
		}
	}
	for _, s := range d.sockets {
		if s != nil && s.send != nil && s.send.op == ring.OpSendFile && s.send.file == fd {
			d.violate("CloseFile of %d while it is sent on descriptor %d", fd, s.fd)
		}
	}
	d.tracef("close file %d", fd)
	delete(d.open, fd)
}

// cancelFile cancels an operation on a file.
func (d *Driver) cancelFile(t ring.Token, op ring.Op) {
	if o := d.fileOps[fileKey{t, op}]; o != nil {
		d.command(func() { d.cancel(o) })
	}
}
