//go:build linux

package ring

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probed remembers what works, for each limit that was asked for. Kernels do
// not forget; failures are not remembered, as they may be of the moment.
var probed struct {
	sync.Mutex
	features [Tier61 + 1]*Features
}

// Probe finds the highest tier, maxTier at most, that really works: it sets a
// ring up and connects, accepts, receives, sends and cancels with it once, over a
// connection of its own. Patched kernels have io_uring of other ages, and
// neither version numbers nor feature bits tell.
//
// It may be called from any goroutine and takes a few milliseconds the first
// time. The error is a *RefusedError if no tier works, and another one if the
// moment does not allow to know (ENOMEM, EMFILE, ENFILE, or no completion in time).
func Probe(maxTier Tier) (Features, error) {
	if maxTier == TierBest || maxTier > Tier61 {
		maxTier = Tier61
	}
	probed.Lock()
	defer probed.Unlock()
	if f := probed.features[maxTier]; f != nil {
		return *f, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for tier := maxTier; ; tier-- {
		f, err := probeTier(tier)
		if err == nil {
			probed.features[maxTier] = &f
			return f, nil
		}
		if tier == Tier519 || verdictOf(errnoOf(err)) != stepDown {
			return Features{}, explain(err)
		}
	}
}

// probeTier tries a tier out.
func probeTier(tier Tier) (Features, error) {
	cfg, _ := Config{Entries: 8, CQEntries: 64, Buffers: 4, BufferSize: minBufferSize}.withDefaults()
	u, err := open(cfg, tier)
	if err != nil {
		return Features{}, err
	}
	features := u.Features()
	p := &probe{u: u, tier: tier, listener: -1, client: -1, server: -1}
	err = p.run()
	if err == nil {
		features.Files, err = p.files()
	}
	if failed := u.destroy(probePatience); err == nil && failed != nil {
		err = p.failed("destroy", failed)
	}
	for _, fd := range []int{p.listener, p.client, p.server} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return features, err
}

// probe is one conversation with oneself.
type probe struct {
	u                        *Uring
	tier                     Tier
	listener, client, server int
}

const (
	// probePatience is how long one operation may take, which ends the probe:
	// what is silent in one tier is not tried in the next.
	probePatience    = time.Second
	loopbackPatience = probePatience / 4
	probeToken       = Token(1)
)

// errSilence: there was no completion. It is an error of the moment, as a shortage
// is: what a kernel cannot do it says, and no kernel is known that says nothing.
const errSilence = unix.ETIME

// failed says what part of the conversation failed, and how.
func (p *probe) failed(what string, err error) error {
	return &stepError{
		step:  fmt.Sprintf("trying tier %v: %s", p.tier, what),
		errno: errnoOf(err),
		note:  err.Error(),
	}
}

// run goes through the conversation until something fails.
func (p *probe) run() error {
	if err := p.connect(); err != nil {
		return p.failed("connect", err)
	}
	if err := p.accept(); err != nil {
		return p.failed("accept", err)
	}
	if err := p.receive(); err != nil {
		return p.failed("receive", err)
	}
	if err := p.send(); err != nil {
		return p.failed("send", err)
	}
	if err := p.cancel(); err != nil {
		return p.failed("cancel", err)
	}
	return nil
}

func (p *probe) accept() error {
	p.u.Accept(p.listener, probeToken)
	ev, err := p.next(OpAccept, 0)
	if err != nil {
		return err
	}
	p.server = ev.N
	if !ev.More {
		return errors.New("it is not multishot")
	}
	return nil
}

// receive receives twice, so that a multishot receive shows that it is one.
func (p *probe) receive() error {
	p.u.Receive(p.server, probeToken)
	for range 2 {
		if _, err := unix.Write(p.client, []byte{'r'}); err != nil {
			return err
		}
		ev, err := p.next(OpReceive, 0)
		if err != nil {
			return err
		}
		if len(ev.Data) != 1 || ev.Data[0] != 'r' {
			return errors.New("it is not what was sent")
		}
		p.u.Release(ev.Buffer)
		if ev.More {
			continue
		}
		if p.tier >= Tier60 {
			return errors.New("it is not multishot")
		}
		p.u.Receive(p.server, probeToken)
	}
	return nil
}

func (p *probe) send() error {
	out := p.u.ring.private[:1] // any memory of ours will do
	p.u.Send(p.server, probeToken, out)
	ev, err := p.next(OpSend, 0)
	if err != nil {
		return err
	}
	var in [2]byte
	if n, _, err := unix.Recvfrom(p.client, in[:], unix.MSG_DONTWAIT); err != nil {
		return err
	} else if n != 1 || ev.N != 1 {
		return errors.New("it is not what arrives")
	}
	return nil
}

func (p *probe) cancel() error {
	p.u.Cancel(p.server, probeToken, OpReceive)
	ev, err := p.next(OpReceive, unix.ECANCELED)
	if err == nil && ev.More {
		return errors.New("the operation goes on")
	}
	return err
}

// next waits for the completion of op, and for it to be want.
func (p *probe) next(op Op, want syscall.Errno) (Event, error) {
	return p.nextWithin(probePatience, op, want)
}

func (p *probe) nextWithin(patience time.Duration, op Op, want syscall.Errno) (ev Event, err error) {
	deadline := time.Now().Add(patience)
	for late := false; !p.u.Next(&ev); {
		if late {
			return ev, p.silence()
		}
		left := time.Until(deadline)
		late = left <= 0 // look once more, as this process may have been stopped
		if err := p.u.Wait(max(left, 0)); err != nil {
			return ev, err
		}
	}
	switch {
	case ev.Op != op:
		return ev, fmt.Errorf("%v completed instead", ev.Op)
	case ev.Err == want:
		return ev, nil
	case ev.Err != 0:
		return ev, ev.Err
	}
	return ev, fmt.Errorf("no error, want %w", want)
}

// silence says why there was no completion: Wait waits for a shortage to pass, and
// it has not.
func (p *probe) silence() error {
	if errno := p.u.refused; errno != 0 && errno != unix.EINTR {
		return errno
	}
	return errSilence
}

// connect makes a listening socket with one connection waiting: over loopback,
// or where that is not to be had, over a unix socket without a name.
func (p *probe) connect() error {
	err := p.connectTo(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err != nil && verdictOf(errnoOf(err)) != fail {
		err = p.connectTo(unix.AF_UNIX, &unix.SockaddrUnix{})
	}
	return err
}

func (p *probe) connectTo(family int, address unix.Sockaddr) error {
	for _, end := range []*int{&p.listener, &p.client} {
		fd, err := p.u.Socket(family)
		if err != nil {
			return err
		}
		if *end >= 0 {
			unix.Close(*end)
		}
		*end = fd
	}
	if err := unix.Bind(p.listener, address); err != nil {
		return err
	}
	if err := unix.Listen(p.listener, 1); err != nil {
		return err
	}
	name, err := p.u.nameOf(p.listener)
	if err != nil {
		return err
	}
	p.u.Connect(p.client, probeToken, name)
	if family != unix.AF_INET {
		_, err = p.next(OpConnect, 0)
		return err
	}
	if _, err = p.nextWithin(loopbackPatience, OpConnect, 0); err != errSilence {
		return err
	}
	// A firewall may drop what goes over loopback: not wait for minutes.
	p.u.Cancel(p.client, probeToken, OpConnect)
	if _, err = p.next(OpConnect, unix.ECANCELED); err != nil {
		return err
	}
	return unix.ETIMEDOUT
}

// nameOf is getsockname(2) into mapped memory.
func (u *Uring) nameOf(fd int) ([]byte, error) {
	s := u.ring.scratch
	s.nameLen = unix.SizeofSockaddrAny
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&s.name)), uintptr(unsafe.Pointer(&s.nameLen)))
	if errno != 0 {
		return nil, errno
	}
	return (*[unix.SizeofSockaddrAny]byte)(unsafe.Pointer(&s.name))[:s.nameLen], nil
}
