//go:build linux

package ring

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// probed remembers what works, for each limit that was asked for. Kernels do
// not forget; failures are not remembered, as they may be of the moment.
var probed struct {
	sync.Mutex
	features [Tier61 + 1]*Features
}

// Probe finds the highest tier, maxTier at most, that really works: it sets a
// ring up and accepts, receives, sends and cancels with it once, over a
// connection of its own. Patched kernels have io_uring of other ages, and
// neither version numbers nor feature bits tell.
//
// It may be called from any goroutine and takes a few milliseconds the first
// time. The error is a *RefusedError if no tier works, and another one if the
// moment does not allow to know (ENOMEM, EMFILE, ENFILE).
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
		f, failed := probeTier(tier)
		if failed == nil {
			probed.features[maxTier] = &f
			return f, nil
		}
		if tier == Tier519 || verdictOf(failed.errno) != stepDown {
			return Features{}, explain(failed)
		}
	}
}

// probeTier tries a tier out.
func probeTier(tier Tier) (Features, *stepError) {
	cfg, _ := Config{Entries: 8, CQEntries: 64, Buffers: 4, BufferSize: minBufferSize}.withDefaults()
	u, failed := open(cfg, tier)
	if failed != nil {
		return Features{}, failed
	}
	features := u.Features()
	p := &probe{u: u, tier: tier, ends: [3]int{-1, -1, -1}}
	p.run()
	err := u.Destroy()
	for _, fd := range p.ends {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if p.failed == nil && err != nil {
		p.fail("destroy", errnoOf(err), err.Error())
	}
	return features, p.failed
}

// probe is one conversation with oneself.
type probe struct {
	u      *Uring
	tier   Tier
	ends   [3]int // the listening socket, the client, the accepted socket
	memory []byte
	failed *stepError
}

const (
	probeListener, probeClient, probeServer = 0, 1, 2

	probePatience = 2 * time.Second
	probeToken    = Token(1)
)

func (p *probe) fail(what string, errno unix.Errno, note string) {
	if p.failed == nil {
		p.failed = &stepError{step: fmt.Sprintf("trying tier %v: %s", p.tier, what), errno: errno, note: note}
	}
}

// run goes through the conversation until something fails.
func (p *probe) run() {
	if !p.connect() {
		return
	}
	u := p.u
	u.Accept(p.ends[probeListener], probeToken)
	ev, ok := p.expect("accept", OpAccept, 0)
	if !ok {
		return
	}
	p.ends[probeServer] = ev.N
	fd := ev.N
	if !ev.More {
		p.fail("accept", 0, "accept is not multishot")
		return
	}

	// Twice, so that a multishot receive shows that it is one.
	u.Receive(fd, probeToken)
	for i := range 2 {
		if _, err := unix.Write(p.ends[probeClient], []byte{'r'}); err != nil {
			p.fail("write", errnoOf(err), "")
			return
		}
		ev, ok := p.expect("receive", OpReceive, 0)
		if !ok {
			return
		}
		if len(ev.Data) != 1 || ev.Data[0] != 'r' {
			p.fail("receive", 0, "received something else than was sent")
			return
		}
		u.Release(ev.Buffer)
		if !ev.More {
			if p.tier >= Tier60 {
				p.fail("receive", 0, "receive is not multishot")
				return
			}
			u.Receive(fd, probeToken)
		}
		_ = i
	}

	out := p.u.ring.private[:1] // any memory of ours will do
	u.Send(fd, probeToken, out)
	if ev, ok = p.expect("send", OpSend, 0); !ok {
		return
	}
	var in [2]byte
	if n, _, err := unix.Recvfrom(p.ends[probeClient], in[:], unix.MSG_DONTWAIT); n != 1 || ev.N != 1 {
		p.fail("send", errnoOf(err), "what was sent did not arrive")
		return
	}

	u.Cancel(fd, probeToken, OpReceive)
	if ev, ok = p.expect("cancel", OpReceive, unix.ECANCELED); ok && ev.More {
		p.fail("cancel", 0, "a cancelled receive goes on")
	}
}

// expect waits for the completion of op, and for it to be want.
func (p *probe) expect(what string, op Op, want unix.Errno) (ev Event, ok bool) {
	deadline := time.Now().Add(probePatience)
	for !p.u.Next(&ev) {
		left := time.Until(deadline)
		if left <= 0 {
			p.fail(what, 0, "no completion")
			return ev, false
		}
		if err := p.u.Wait(left); err != nil {
			p.fail(what, errnoOf(err), err.Error())
			return ev, false
		}
	}
	if ev.Op != op || ev.Err != want {
		p.fail(what, ev.Err, fmt.Sprintf("completed as %v", ev.Op))
		return ev, false
	}
	return ev, true
}

// connect makes a listening socket with one connection waiting: over loopback,
// or where that is not to be had, over a unix socket without a name.
func (p *probe) connect() bool {
	err := p.connectTo(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if verdictOf(errnoOf(err)) == fail {
		p.fail("socket", errnoOf(err), "")
		return false
	}
	if err != nil {
		err = p.connectTo(unix.AF_UNIX, &unix.SockaddrUnix{})
	}
	if err != nil {
		p.fail("socket", errnoOf(err), "")
	}
	return err == nil
}

func (p *probe) connectTo(family int, address unix.Sockaddr) error {
	for _, i := range []int{probeListener, probeClient} {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if p.ends[i] >= 0 {
			unix.Close(p.ends[i])
		}
		p.ends[i] = fd
	}
	if err := unix.Bind(p.ends[probeListener], address); err != nil {
		return err
	}
	if err := unix.Listen(p.ends[probeListener], 1); err != nil {
		return err
	}
	bound, err := unix.Getsockname(p.ends[probeListener])
	if err != nil {
		return err
	}
	return unix.Connect(p.ends[probeClient], bound)
}
