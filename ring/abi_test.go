//go:build linux

package ring

import (
	"testing"
	"unsafe"
)

// TestLayout: the structures that the kernel shares, as in linux/io_uring.h.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"size of sqe", unsafe.Sizeof(sqe{}), 64},
		{"sqe.flags", unsafe.Offsetof(sqe{}.flags), 1},
		{"sqe.ioprio", unsafe.Offsetof(sqe{}.ioprio), 2},
		{"sqe.fd", unsafe.Offsetof(sqe{}.fd), 4},
		{"sqe.off", unsafe.Offsetof(sqe{}.off), 8},
		{"sqe.addr", unsafe.Offsetof(sqe{}.addr), 16},
		{"sqe.len", unsafe.Offsetof(sqe{}.len), 24},
		{"sqe.opFlags", unsafe.Offsetof(sqe{}.opFlags), 28},
		{"sqe.userData", unsafe.Offsetof(sqe{}.userData), 32},
		{"sqe.bufGroup", unsafe.Offsetof(sqe{}.bufGroup), 40},
		{"size of cqe", unsafe.Sizeof(cqe{}), 16},
		{"cqe.res", unsafe.Offsetof(cqe{}.res), 8},
		{"cqe.flags", unsafe.Offsetof(cqe{}.flags), 12},
		{"size of setupParams", unsafe.Sizeof(setupParams{}), 120},
		{"setupParams.features", unsafe.Offsetof(setupParams{}.features), 20},
		{"setupParams.sqOff", unsafe.Offsetof(setupParams{}.sqOff), 40},
		{"setupParams.cqOff", unsafe.Offsetof(setupParams{}.cqOff), 80},
		{"sqRingOffsets.array", unsafe.Offsetof(sqRingOffsets{}.array), 24},
		{"cqRingOffsets.cqes", unsafe.Offsetof(cqRingOffsets{}.cqes), 20},
		{"size of getEventsArg", unsafe.Sizeof(getEventsArg{}), 24},
		{"getEventsArg.ts", unsafe.Offsetof(getEventsArg{}.ts), 16},
		{"size of kernelTimespec", unsafe.Sizeof(kernelTimespec{}), 16},
		{"size of restriction", unsafe.Sizeof(restriction{}), 16},
		{"restriction.value", unsafe.Offsetof(restriction{}.value), 2},
		{"size of rsrcUpdate", unsafe.Sizeof(rsrcUpdate{}), 16},
		{"rsrcUpdate.data", unsafe.Offsetof(rsrcUpdate{}.data), 8},
		{"size of bufReg", unsafe.Sizeof(bufReg{}), 40},
		{"bufReg.bgid", unsafe.Offsetof(bufReg{}.bgid), 12},
		{"size of bufEntry", unsafe.Sizeof(bufEntry{}), 16},
		{"bufEntry.bid", unsafe.Offsetof(bufEntry{}.bid), 12},
		{"bufEntry.resv", unsafe.Offsetof(bufEntry{}.resv), 14},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d, want %d", c.what, c.got, c.want)
		}
	}
}

// TestPrepareClearsSQE: nothing of a slot's last use is left, whatever it was.
func TestPrepareClearsSQE(t *testing.T) {
	p, err := mapMemory(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, prepare := range prepares(p) {
		var clean, dirty sqe
		for i := range bytesOf(&dirty) {
			bytesOf(&dirty)[i] = 0xff
		}
		prepare(&clean)
		prepare(&dirty)
		if *bytesOf(&clean) != *bytesOf(&dirty) {
			t.Errorf("%s leaves bytes of the slot's last use:\n%x\n%x", name, *bytesOf(&dirty), *bytesOf(&clean))
		}
	}
}

// prepares are all the operations that we prepare, p is to be sent.
func prepares(p []byte) map[string]func(*sqe) {
	const fd, data = 7, 0x0102_0304_0506_0708
	return map[string]func(*sqe){
		"nop":               func(e *sqe) { e.prepareNop(data) },
		"accept":            func(e *sqe) { e.prepareAccept(fd, data) },
		"receive":           func(e *sqe) { e.prepareReceive(fd, 4096, data) },
		"receive multishot": func(e *sqe) { e.prepareReceiveMultishot(fd, data) },
		"send":              func(e *sqe) { e.prepareSend(fd, p, data) },
		"connect":           func(e *sqe) { e.prepareConnect(fd, p, data) },
		"cancel":            func(e *sqe) { e.prepareCancel(0xa0b0_c0d0_0000_0001, data) },
		"cancel all":        func(e *sqe) { e.prepareCancelAll(data) },
		"poll multishot":    func(e *sqe) { e.preparePollMultishot(fd, data) },
		"writable":          func(e *sqe) { e.prepareWritable(fd, data) },
		"open":              func(e *sqe) { e.prepareOpen(fd, (*OpenRequest)(unsafe.Pointer(&p[0])), data) },
		"stat":              func(e *sqe) { e.prepareStat(fd, (*Stat)(unsafe.Pointer(&p[0])), data) },
		"read":              func(e *sqe) { e.prepareRead(fd, p, 1<<33, data) },
		"close":             func(e *sqe) { e.prepareClose(fd, data) },
	}
}

func bytesOf(e *sqe) *[64]byte { return (*[64]byte)(unsafe.Pointer(e)) }
