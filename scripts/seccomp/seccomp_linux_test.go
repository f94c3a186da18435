package seccomp

import (
	"os"
	"os/exec"
	"strings"
	"testing"

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
	cmd := exec.Command(os.Args[0], "-test.run=^TestApply$")
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
