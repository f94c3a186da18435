//go:build giouring && linux

// The comparison with giouring needs a flag of the linker, since giouring
// reaches into package syscall in a way that Go has closed (1.23):
//
//	go test -tags giouring -ldflags=-checklinkname=0 ./ring

package ring

import (
	"bytes"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// TestGiouringSQEs: what we prepare is, byte for byte, what giouring prepares.
func TestGiouringSQEs(t *testing.T) {
	p, err := mapMemory(100)
	must(t, err)
	defer unix.Munmap(p)
	at, n := uintptr(unsafe.Pointer(&p[0])), uint32(len(p))
	const fd, data = 7, 0x0102_0304_0506_0708
	theirs := map[string]func(*giouring.SubmissionQueueEntry){
		"nop":    func(e *giouring.SubmissionQueueEntry) { e.PrepareNop() },
		"accept": func(e *giouring.SubmissionQueueEntry) { e.PrepareMultishotAccept(fd, 0, 0, unix.SOCK_CLOEXEC) },
		"receive": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareRecv(fd, 0, 4096, 0)
			e.Flags |= giouring.SqeBufferSelect
		},
		"receive multishot": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareRecvMultishot(fd, 0, 0, 0)
			e.Flags |= giouring.SqeBufferSelect
		},
		"send": func(e *giouring.SubmissionQueueEntry) { e.PrepareSend(fd, at, n, unix.MSG_WAITALL|unix.MSG_NOSIGNAL) },
		"connect": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareConnect(fd, (*syscall.Sockaddr)(unsafe.Pointer(&p[0])), uint64(n))
		},
		"cancel": func(e *giouring.SubmissionQueueEntry) { e.PrepareCancel64(0xa0b0_c0d0_0000_0001, 0) },
		"cancel all": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareCancel64(0, int(giouring.AsyncCancelAll|giouring.AsyncCancelAny))
		},
		"poll multishot": func(e *giouring.SubmissionQueueEntry) { e.PreparePollMultishot(fd, unix.POLLIN) },
		"writable":       func(e *giouring.SubmissionQueueEntry) { e.PreparePollAdd(fd, unix.POLLOUT) },
		"open": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareOpenat2(fd, nil, (*unix.OpenHow)(unsafe.Pointer(&p[0])))
			e.OpCode = giouring.OpOpenat2 // it writes OpOpenat, and where its slice lies
			e.Addr = uint64(at + sizeofOpenHow)
		},
		"stat": func(e *giouring.SubmissionQueueEntry) {
			e.PrepareStatx(fd, nil, unix.AT_EMPTY_PATH, statMask, (*unix.Statx_t)(unsafe.Pointer(&p[0])))
			e.Addr = uint64(at + unsafe.Offsetof(Stat{}.empty)) // it writes where its slice lies
		},
		"read":  func(e *giouring.SubmissionQueueEntry) { e.PrepareRead(fd, at, n, 1<<33) },
		"close": func(e *giouring.SubmissionQueueEntry) { e.PrepareClose(fd) },
	}
	ours := prepares(p)
	if len(ours) != len(theirs) {
		t.Errorf("%d operations of ours are compared with %d of giouring's", len(ours), len(theirs))
	}
	for name, prepare := range ours {
		t.Run(name, func(t *testing.T) {
			if theirs[name] == nil {
				t.Fatal("no counterpart")
			}
			var a sqe
			var b giouring.SubmissionQueueEntry // zero: giouring leaves fields of the slot's last use
			prepare(&a)
			theirs[name](&b)
			b.UserData = data
			if got, want := bytesOf(&a), (*[64]byte)(unsafe.Pointer(&b)); *got != *want {
				t.Errorf("ours   %x\ntheirs %x", *got, *want)
			}
		})
	}
}

// TestGiouringConversation: one listening socket, one client; a connection is
// accepted, received from and sent to through giouring, and then through ours.
func TestGiouringConversation(t *testing.T) {
	needTier(t, Tier61)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, c := range []struct {
		name string
		echo func(t *testing.T, listener int) error
	}{
		{"giouring", giouringEcho},
		{"ours", ourEcho},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			p := &probe{u: testDriver(t, Tier61, Config{}), listener: -1, client: -1}
			must(t, p.connectTo(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			defer unix.Close(p.listener)
			defer unix.Close(p.client)
			_, err := unix.Write(p.client, []byte("conversation"))
			must(t, err)
			must(t, c.echo(t, p.listener))
			in := make([]byte, 100)
			n, _, err := unix.Recvfrom(p.client, in, unix.MSG_DONTWAIT)
			must(t, err)
			if string(in[:n]) != "conversation" {
				t.Errorf("the echo is %q", in[:n])
			}
		})
	}
}

func ourEcho(t *testing.T, listener int) error {
	u := testDriver(t, Tier61, Config{Entries: 8, CQEntries: 16, Buffers: 4})
	p := &probe{u: u, tier: Tier61, listener: listener}
	if err := p.accept(); err != nil {
		return err
	}
	defer unix.Close(p.server)
	u.Receive(p.server, probeToken)
	ev, err := p.next(OpReceive, 0)
	if err != nil {
		return err
	}
	u.Send(p.server, probeToken, ev.Data)
	_, err = p.next(OpSend, 0)
	u.Release(ev.Buffer)
	return err
}

func giouringEcho(t *testing.T, listener int) error {
	r := giouring.NewRing()
	if err := r.QueueInit(8, giouring.SetupSingleIssuer|giouring.SetupDeferTaskrun); err != nil {
		return err
	}
	defer r.QueueExit()
	memory, err := mapMemory(4096)
	must(t, err)
	defer unix.Munmap(memory)
	buffers, err := r.SetupBufRing(4, bufferGroup, 0)
	if err != nil {
		return err
	}
	mask := giouring.BufRingMask(4)
	for id := range 4 {
		buffers.BufRingAdd(uintptr(unsafe.Pointer(&memory[id*1024])), 1024, uint16(id), mask, id)
	}
	buffers.BufRingAdvance(4)

	// The SQEs are ours: prepared by our code, run by giouring's.
	run := func(prepare func(*sqe)) (res int, flags uint32, err error) {
		e := r.GetSQE()
		if e == nil {
			return 0, 0, errors.New("no SQE")
		}
		prepare((*sqe)(unsafe.Pointer(e)))
		if _, err := r.SubmitAndWait(1); err != nil {
			return 0, 0, err
		}
		c, err := r.PeekCQE()
		if err != nil {
			return 0, 0, err
		}
		defer r.CQESeen(c)
		if c.Res < 0 {
			return 0, 0, unix.Errno(-c.Res)
		}
		return int(c.Res), c.Flags, nil
	}
	fd, flags, err := run(func(e *sqe) { e.prepareAccept(listener, 1) })
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if flags&giouring.CQEFMore == 0 {
		return errors.New("accept is not multishot")
	}
	n, flags, err := run(func(e *sqe) { e.prepareReceiveMultishot(fd, 2) })
	if err != nil {
		return err
	}
	if flags&giouring.CQEFBuffer == 0 || flags&giouring.CQEFMore == 0 {
		return errors.New("receive is not multishot, or has no buffer")
	}
	id := int(flags >> giouring.CQEBufferShift)
	data := memory[id*1024:][:n]
	if !bytes.Equal(data, []byte("conversation")) {
		t.Errorf("giouring received %q", data)
	}
	_, _, err = run(func(e *sqe) { e.prepareSend(fd, data, 3) })
	return err
}
