//go:build linux

package ring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestProbe(t *testing.T) {
	for _, limit := range []Tier{TierBest, Tier519, Tier60, Tier61} {
		features, err := Probe(limit)
		var refused *RefusedError
		if errors.As(err, &refused) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Log(features)
		if limit != TierBest && features.Tier > limit {
			t.Errorf("limit %v: tier %v", limit, features.Tier)
		}
		if features.MultishotReceive != (features.Tier >= Tier60) || !features.MultishotAccept || !features.BufferRings {
			t.Errorf("limit %v: %v", limit, features)
		}
		again, err := Probe(limit)
		if err != nil || again != features {
			t.Errorf("limit %v: %v, %v the second time, %v the first", limit, again, err, features)
		}
	}
}

// TestProbeOverUnixSocket: the probe does not depend on loopback being up.
func TestProbeOverUnixSocket(t *testing.T) {
	u := testDriver(t, Tier519, Config{})
	p := &probe{u: u, tier: Tier519, listener: -1, client: -1, server: -1}
	t.Cleanup(func() {
		for _, fd := range []int{p.listener, p.client, p.server} {
			unix.Close(fd)
		}
	})
	must(t, p.connectTo(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, p.connectTo(unix.AF_UNIX, &unix.SockaddrUnix{})) // after the other was given up
	must(t, p.accept())
	must(t, p.receive())
	must(t, p.send())
	must(t, p.cancel())
}

// TestProbeStepsDown: where a tier is not to be had, the next lower one is.
func TestProbeStepsDown(t *testing.T) {
	needTier(t, Tier519)
	defer func(flags uint32) {
		setupFlags[Tier61] = flags
		probed.features = [len(probed.features)]*Features{}
	}(setupFlags[Tier61])
	setupFlags[Tier61] |= 1 << 31 // no kernel knows this one
	probed.features = [len(probed.features)]*Features{}
	features, err := Probe(TierBest)
	if err != nil || features.Tier >= Tier61 {
		t.Errorf("%v, %v; want a lower tier", features, err)
	}
}

// TestProbeTakesPart: a ring that sets up but does not do what is needed is
// found out by doing it. Here the restrictions play the incapable kernel.
func TestProbeTakesPart(t *testing.T) {
	needTier(t, Tier519)
	defer func(all []uint8) { ops = all }(ops)
	for _, c := range []struct {
		missing uint8
		step    string
	}{
		{opAccept, "accept"}, {opRecv, "receive"}, {opSend, "send"},
	} {
		all := ops
		ops = nil
		for _, op := range all {
			if op != c.missing {
				ops = append(ops, op)
			}
		}
		runtime.LockOSThread()
		_, err := probeTier(Tier519)
		runtime.UnlockOSThread()
		ops = all
		var failed *stepError
		if !errors.As(err, &failed) || !strings.HasSuffix(failed.step, c.step) || failed.errno != unix.EACCES {
			t.Errorf("without operation %d: %v, want EACCES of %s", c.missing, err, c.step)
		}
	}
}

// TestProbeFiles: a ring that cannot do files is good for the rest.
func TestProbeFiles(t *testing.T) {
	needTier(t, Tier519)
	defer func(all []uint8) { ops = all }(ops)
	all := ops
	for _, missing := range []uint8{0, opOpenat2, opStatx, opRead, opClose} {
		ops = nil
		for _, op := range all {
			if op != missing {
				ops = append(ops, op)
			}
		}
		runtime.LockOSThread()
		features, err := probeTier(Tier519)
		runtime.UnlockOSThread()
		if err != nil || features.Files != (missing == 0) {
			t.Errorf("without operation %d: %v, %v", missing, features, err)
		}
	}
}

// TestProbeSilence: an operation that does not complete is an error, soon, and no
// reason to do without io_uring.
func TestProbeSilence(t *testing.T) {
	u := testDriver(t, Tier519, Config{})
	p := &probe{u: u, tier: Tier519}
	fd, _ := tcpPair(t)
	u.Receive(fd, probeToken) // nothing arrives
	start := time.Now()
	_, err := p.next(OpReceive, 0)
	if d := time.Since(start); d < probePatience || d > 5*probePatience {
		t.Errorf("took %v, want %v", d, probePatience)
	}
	err = explain(p.failed("receive", err))
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		t.Errorf("%v is a refusal", err)
	}
	checkLine(t, err, []string{"trying tier 5.19: receive", "the kernel completed nothing"})
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		step     string
		errno    syscall.Errno
		disabled string
		says     []string
	}{
		{"io_uring_setup", unix.EPERM, "2", []string{"kernel.io_uring_disabled is 2", "kernel.io_uring_disabled=0"}},
		{"io_uring_setup", unix.EPERM, "1", []string{"kernel.io_uring_disabled is 1", "kernel.io_uring_group"}},
		{"io_uring_setup", unix.EPERM, "0", []string{"seccomp", "Docker"}},
		{"io_uring_setup", unix.EPERM, "", []string{"seccomp", "io_uring_enter"}},
		{"io_uring_setup", unix.ENOSYS, "0", []string{"no io_uring", "seccomp"}},
		{"io_uring_setup", unix.EINVAL, "0", []string{"older than 5.19"}},
		{"io_uring_setup", unix.EACCES, "0", []string{"security module"}},
		{stepBufferRing, unix.EINVAL, "0", []string{"no provided buffer rings"}},
		{"trying tier 5.19: receive", 0, "", []string{"it is not multishot"}},
		{"trying tier 5.19: receive", unix.EOPNOTSUPP, "", []string{"does not work"}},
	} {
		err := refused(&stepError{step: c.step, errno: c.errno, note: "it is not multishot"}, c.disabled)
		checkLine(t, err, append(c.says, c.step))
		if c.errno != 0 && !errors.Is(err, c.errno) {
			t.Errorf("%v is not %v", err, c.errno)
		}
	}
	for errno, says := range map[syscall.Errno]string{
		unix.ENOMEM: "RLIMIT_MEMLOCK", unix.EMFILE: "RLIMIT_NOFILE", unix.ENFILE: "fs.file-max",
	} {
		err := explain(&stepError{step: "io_uring_setup", errno: errno})
		var refused *RefusedError
		if errors.As(err, &refused) {
			t.Errorf("%v is a refusal", err)
		}
		if !errors.Is(err, errno) {
			t.Errorf("%v is not %v", err, errno)
		}
		checkLine(t, err, []string{says})
	}
}

func checkLine(t *testing.T, err error, says []string) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

// refusals are what TestOpenUnderRefusal does to a process of its own.
var refusals = map[string]struct {
	refuse func() error
	want   string
	says   string
}{
	"setup EPERM":     {filter(unix.SYS_IO_URING_SETUP, -1, unix.EPERM), "refused", "seccomp"},
	"setup ENOSYS":    {filter(unix.SYS_IO_URING_SETUP, -1, unix.ENOSYS), "refused", "seccomp"},
	"setup EINVAL":    {filter(unix.SYS_IO_URING_SETUP, -1, unix.EINVAL), "refused", "older than 5.19"},
	"setup ENOMEM":    {filter(unix.SYS_IO_URING_SETUP, -1, unix.ENOMEM), "error", "RLIMIT_MEMLOCK"},
	"no buffer ring":  {filter(unix.SYS_IO_URING_REGISTER, registerPbufRing, unix.EINVAL), "refused", "buffer rings"},
	"no ring fds":     {filter(unix.SYS_IO_URING_REGISTER, registerRingFDs, unix.EINVAL), "works", "files, restricted"},
	"unrestricted":    {filter(unix.SYS_IO_URING_REGISTER, registerRestrictions, unix.EINVAL), "works", "registered ring, unrestricted"},
	"restrict EPERM":  {filter(unix.SYS_IO_URING_REGISTER, registerRestrictions, unix.EPERM), "works", "registered ring, unrestricted"},
	"restrict ENOMEM": {filter(unix.SYS_IO_URING_REGISTER, registerRestrictions, unix.ENOMEM), "error", "io_uring_register(RESTRICTIONS): cannot allocate memory"},
	"enter EPERM":     {filter(unix.SYS_IO_URING_ENTER, -1, unix.EPERM), "refused", "trying tier"},
	"enter EAGAIN":    {filter(unix.SYS_IO_URING_ENTER, -1, unix.EAGAIN), "error", "connect: resource temporarily unavailable"},
	"no files":        {noFiles, "error", "RLIMIT_NOFILE"},
}

const refusalVariable = "RINGCORE_TEST_REFUSAL"

// TestOpenUnderRefusal opens a driver in processes which the kernel answers as
// it does in containers, on old kernels, and at a limit.
func TestOpenUnderRefusal(t *testing.T) {
	if name := os.Getenv(refusalVariable); name != "" {
		openRefused(name)
	}
	needTier(t, Tier519)
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestOpenUnderRefusal$")
			cmd.Env = append(os.Environ(), refusalVariable+"="+name)
			out, err := cmd.Output() // errors of the coverage tool go to stderr
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			line := strings.TrimSpace(string(out))
			t.Log(line)
			if !strings.HasPrefix(line, c.want+": ") || !strings.Contains(line, c.says) || strings.Contains(line, "\n") {
				t.Errorf("got %q, want one line that begins with %q and says %q", line, c.want, c.says)
			}
		})
	}
}

// openRefused runs in a process of its own and prints how Open goes there.
func openRefused(name string) {
	runtime.LockOSThread()
	if err := refusals[name].refuse(); err != nil {
		fmt.Println("cannot refuse:", err)
		os.Exit(1)
	}
	u, err := Open(Config{})
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		fmt.Println("refused:", err)
	case err != nil:
		fmt.Println("error:", err)
	default:
		fmt.Println("works:", u.Features())
		if err := u.Destroy(); err != nil {
			fmt.Println("destroy:", err)
		}
	}
	os.Exit(0)
}

func noFiles() error {
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{})
}

// filter is a seccomp filter, as a container has one: the system call number
// call, if its second argument is op or op is negative, answers errno.
func filter(call uint32, op int64, errno syscall.Errno) func() error {
	return func() error {
		const (
			load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
			equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
			ret    = unix.BPF_RET | unix.BPF_K
			second = 16 + 8 // in struct seccomp_data, lower half
		)
		program := []unix.SockFilter{
			{Code: load, K: 0},
			{Code: equal, K: call, Jf: 3},
			{Code: load, K: second},
			{Code: equal, K: uint32(op), Jf: 1},
			{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
			{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		}
		if op < 0 {
			program[3] = unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 0}
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
		_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
		if e != 0 {
			return e
		}
		return nil
	}
}
