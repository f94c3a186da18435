package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const childVariable = "RINGCORE_TEST_SECCOMP"

// TestApply tries in a child process what a filter lets through: calls by
// name, by argument, and what no rule names.
func TestApply(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		underFilter(t)
		return
	}
	inChild(t)
}

// inChild runs the test once more, in a process of its own.
func inChild(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v: %s", err, out)
	}
}

func underFilter(t *testing.T) {
	const high = 1 << 40 // the upper half of an argument counts too
	p := Deny(
		Rule{Names: []string{"uname"}, Action: ActErrno},
		Rule{Names: []string{"lseek"}, Action: ActErrno, ErrnoRet: uint32(unix.ENOSYS),
			Args: []Arg{{Index: 1, Value: high, Op: Equal}, {Index: 2, Value: 0, Op: Equal}}},
		Rule{Names: []string{"madvise"}, Action: ActErrno, ErrnoRet: uint32(unix.EDOM),
			Args: []Arg{{Index: 2, Value: 0x10, ValueTwo: 0x10, Op: MaskedEqual}}})
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	var u unix.Utsname
	page := make([]byte, 8192)
	_, equal := unix.Seek(fd, high, 0)
	_, other := unix.Seek(fd, high+1, 0)
	_, whence := unix.Seek(fd, high, 2)
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"uname", unix.Uname(&u), unix.EPERM},
		{"lseek as denied", equal, unix.ENOSYS},
		{"lseek to another place", other, nil},
		{"lseek from the end", whence, nil},
		{"madvise with the bit", unix.Madvise(page[:0], 0x14), unix.EDOM},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if err := unix.Madvise(page[:0], unix.MADV_NORMAL); err == unix.EDOM {
		t.Error("madvise without the bit is denied")
	}
}

// TestRingcore: the shipped profile is one that compiles, refuses what it does
// not name, and names nothing twice.
func TestRingcore(t *testing.T) {
	p, err := Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	if program, err := p.Compile(); err != nil || len(program) > unix.BPF_MAXINSNS {
		t.Errorf("%d instructions, %v", len(program), err)
	}
	if p.DefaultAction != ActErrno || p.DefaultErrnoRet != uint32(unix.EPERM) {
		t.Errorf("the default is %s %d", p.DefaultAction, p.DefaultErrnoRet)
	}
	seen := map[string]bool{}
	for _, r := range p.Syscalls {
		for _, name := range r.Names {
			if seen[name] && len(r.Args) == 0 {
				t.Errorf("%s is named twice", name)
			}
			seen[name] = true
		}
	}
}

// TestRingcoreRefuses tries in a child process what the shipped profile
// refuses: other calls, and the same ones with other arguments.
func TestRingcoreRefuses(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		underRingcore(t)
		return
	}
	inChild(t)
}

// scratch is where system calls find or leave what they want; not on a stack, which moves.
var scratch [64]byte

func underRingcore(t *testing.T) {
	p, err := Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	call := func(number uintptr, args ...uintptr) error {
		var a [6]uintptr
		copy(a[:], args)
		r, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		if (number == unix.SYS_CLONE || number == unix.SYS_CLONE3) && errno == 0 && r == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0) // a child, which must not be
		}
		if errno != 0 {
			return errno
		}
		return nil
	}
	opened := func(family int) error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	unread, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := uintptr(unsafe.Pointer(&scratch))
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"a unix socket", opened(unix.AF_UNIX), nil},
		{"an IPv4 socket", opened(unix.AF_INET), nil},
		{"a netlink socket", opened(unix.AF_NETLINK), unix.EPERM},
		{"a packet socket", opened(unix.AF_PACKET), unix.EPERM},
		{"a vsock socket", opened(unix.AF_VSOCK), unix.EPERM},
		{"a socketpair", call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM), unix.EPERM},
		{"ioctl FIONREAD", call(unix.SYS_IOCTL, uintptr(unread), unix.TIOCINQ, at), nil},
		{"ioctl TIOCSTI", call(unix.SYS_IOCTL, uintptr(unread), unix.TIOCSTI, at), unix.EPERM},
		{"ioctl SIOCGIFCONF", call(unix.SYS_IOCTL, uintptr(unread), unix.SIOCGIFCONF, at), unix.EPERM},
		{"clone as fork", call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)), unix.EPERM},
		{"clone into a user namespace", call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)|unix.CLONE_NEWUSER), unix.EPERM},
		// EINVAL is the kernel's, which wants CLONE_SIGHAND with it: the filter let it through
		{"clone of a thread", call(unix.SYS_CLONE, unix.CLONE_THREAD), unix.EINVAL},
		{"clone3", call(unix.SYS_CLONE3), unix.ENOSYS},
		{"ptrace", call(unix.SYS_PTRACE, unix.PTRACE_TRACEME), unix.EPERM},
		{"bpf", call(unix.SYS_BPF), unix.EPERM},
		{"mount", call(unix.SYS_MOUNT), unix.EPERM},
		{"unshare", call(unix.SYS_UNSHARE, unix.CLONE_FS), unix.EPERM},
		{"seccomp", call(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL), unix.EPERM},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestUnit: the unit that is shipped has the profile's calls, and is one to systemd.
func TestUnit(t *testing.T) {
	p, err := Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("ringcore.service")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(unit), "\n"+p.Systemd()) {
		t.Error("ringcore.service does not have the lines that go run ./scripts/seccomp/under -systemd prints")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here (Debian package systemd): not verified")
	}
	const program = "/usr/local/bin/ringcore-server" // not there; systemd wants one that is
	if !strings.Contains(string(unit), "\nExecStart="+program+" ") {
		t.Fatalf("ringcore.service does not start %s", program)
	}
	file := filepath.Join(t.TempDir(), "ringcore.service")
	if err := os.WriteFile(file, []byte(strings.Replace(string(unit), program, os.Args[0], 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", file).CombinedOutput()
	if strings.Contains(string(out), "ringcore.service") { // others' units are not ours to judge
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	} else if err != nil {
		t.Skipf("systemd-analyze verifies nothing here: %v\n%s", err, out)
	}
}

// TestCompileErrors: what is not understood is an error, not ignored.
func TestCompileErrors(t *testing.T) {
	for what, r := range map[string]Rule{
		"a name":       {Names: []string{"io_uring_enlarge"}, Action: ActAllow},
		"an action":    {Names: []string{"read"}, Action: "SCMP_ACT_MAYBE"},
		"a comparison": {Names: []string{"read"}, Action: ActAllow, Args: []Arg{{Op: "SCMP_CMP_GT"}}},
		"an argument":  {Names: []string{"read"}, Action: ActAllow, Args: []Arg{{Index: 6, Op: Equal}}},
	} {
		p := Deny(r)
		if _, err := p.Compile(); err == nil {
			t.Errorf("%s that is unknown: no error", what)
		}
	}
}
