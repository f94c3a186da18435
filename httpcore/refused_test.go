//go:build linux

package httpcore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/scripts/seccomp"
)

// refusedVariable has the world of a child process, as JSON.
const refusedVariable = "RINGCORE_TEST_REFUSED"

// world is what a child process finds itself in.
type world struct {
	Driver  string
	Profile *seccomp.Profile `json:",omitempty"`
	Memory  *uint64          `json:",omitempty"` // RLIMIT_MEMLOCK in bytes
	NoFiles bool             // RLIMIT_NOFILE is what is open once there is a listener
	User    int              // an unprivileged user, unless 0; newcomer: another one each time
	Loops   int              // 0: the default

	userNamespace bool // the parent's part
}

// verdict is what a child says of itself.
type verdict struct {
	Driver, Reason, Tier, Addr string
	Err                        string
	Log                        string        // what Serve has logged by then
	Took                       time.Duration // since Serve was called
}

// enter puts the world into force.
func (w *world) enter() error {
	if w.Memory != nil {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: *w.Memory, Max: *w.Memory}); err != nil {
			return err
		}
	}
	if w.User != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(w.User), syscall.Setuid(w.User)); err != nil {
			return err
		}
	}
	if w.NoFiles {
		next, err := unix.Dup(0) // the lowest that is free
		if err != nil {
			return err
		}
		unix.Close(next)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next), Max: uint64(next)}); err != nil {
			return err
		}
	}
	if w.Profile != nil {
		return w.Profile.Apply()
	}
	return nil
}

// live serves in the world until standard input ends.
func (w *world) live() error {
	kind, err := ParseDriver(w.Driver)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := w.enter(); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	log, start := &logBuffer{}, time.Now()
	var s *Server
	s = New(&fasthttp.Server{Handler: hello, Logger: log}, WithDriver(kind), WithLoops(w.Loops), WithReady(func(i Info) {
		v := verdict{Tier: i.Tier, Addr: i.Addr.String(), Log: log.String(), Took: time.Since(start)}
		v.Driver, v.Reason = s.Driver()
		_ = out.Encode(v)
	}))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Shutdown()
	}()
	if err := s.Serve(ln); err != nil {
		return out.Encode(verdict{Err: err.Error(), Took: time.Since(start)})
	}
	return nil
}

// atOnce is how long a child may take to know: it waits for no shortage to pass.
const atOnce = 5 * time.Second

// try serves in the world by a child process, asks it once over the network if
// it serves, and returns what it said.
func (w world) try(t *testing.T, kind DriverKind) verdict {
	t.Helper()
	w.Driver = kind.String()
	if w.User == newcomer {
		lastUser++
		w.User = lastUser
	}
	spec, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()[:strings.IndexByte(t.Name()+"/", '/')]+"$")
	cmd.Env = append(os.Environ(), refusedVariable+"="+string(spec))
	cmd.Stderr = os.Stderr
	if w.userNamespace {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if w.userNamespace {
			t.Skipf("no user namespace to be had here: %v", err)
		}
		t.Fatal(err)
	}
	var v verdict
	err = json.NewDecoder(out).Decode(&v)
	if err != nil {
		rest, _ := io.ReadAll(out)
		t.Errorf("the child said nothing: %v %s", err, rest)
	} else if v.Err == "" {
		resp, err := http.Get("http://" + v.Addr)
		if err != nil {
			t.Error(err)
		} else {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "Hello, World!" {
				t.Errorf("%s answered %q", v.Driver, body)
			}
			http.DefaultClient.CloseIdleConnections()
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
	if v.Took > atOnce {
		t.Errorf("the child took %v to know", v.Took)
	}
	t.Logf("%v: %s %s%s%s", kind, v.Driver, v.Tier, v.Reason, v.Err)
	return v
}

// inChild is the child's part of a test. It does not return there.
func inChild() {
	spec := os.Getenv(refusedVariable)
	if spec == "" {
		return
	}
	var w world
	err := json.Unmarshal([]byte(spec), &w)
	if err == nil {
		err = w.live()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// wantRefused: Auto serves by epoll and says why; IOUring fails with the same
// words.
func (w world) wantRefused(t *testing.T, words ...string) {
	t.Helper()
	auto, ring := w.try(t, Auto), w.try(t, IOUring)
	if auto.Err != "" || auto.Driver != "epoll" {
		t.Fatalf("auto: %+v, want epoll", auto)
	}
	if !strings.Contains(auto.Log, "serving by epoll: "+auto.Reason) {
		t.Errorf("the log %q does not say %q", auto.Log, auto.Reason)
	}
	for _, word := range append(words, "io_uring is not available: ") {
		if !strings.Contains(auto.Reason, word) {
			t.Errorf("the reason %q does not say %q", auto.Reason, word)
		}
	}
	if ring.Driver != "" || !strings.Contains(ring.Err, auto.Reason) || strings.Contains(ring.Err, "\n") {
		t.Errorf("io_uring: %+v, want an error with the words of the reason", ring)
	}
}

// wantError: neither serves, and both say what ran out.
func (w world) wantError(t *testing.T, words ...string) {
	t.Helper()
	for _, kind := range []DriverKind{Auto, IOUring} {
		v := w.try(t, kind)
		if v.Err == "" {
			t.Errorf("%v serves by %s (%s), want an error", kind, v.Driver, v.Reason)
		}
		if strings.Contains(v.Err, "\n") {
			t.Errorf("%v: more than one line: %q", kind, v.Err)
		}
		for _, word := range words {
			if !strings.Contains(v.Err, word) {
				t.Errorf("%v: the error %q does not say %q", kind, v.Err, word)
			}
		}
	}
}

// wantRing: both serve by io_uring, and log what words say, or nothing.
func (w world) wantRing(t *testing.T, words ...string) {
	t.Helper()
	for _, kind := range []DriverKind{Auto, IOUring} {
		if v := w.try(t, kind); v.Driver != "io_uring" || v.Reason != "" {
			t.Errorf("%v: %+v, want io_uring", kind, v)
		} else if len(words) == 0 && v.Log != "" {
			t.Errorf("%v: the log is %q, want nothing", kind, v.Log)
		} else {
			for _, word := range words {
				if !strings.Contains(v.Log, word) {
					t.Errorf("%v: the log %q does not say %q", kind, v.Log, word)
				}
			}
		}
	}
}

// deny is a world in which some system calls fail, whatever their arguments or
// with the given second argument.
func deny(errno syscall.Errno, second int64, names ...string) world {
	rule := seccomp.Rule{Names: names, Action: seccomp.ActErrno, ErrnoRet: uint32(errno)}
	if second >= 0 {
		rule.Args = []seccomp.Arg{{Index: 1, Value: uint64(second), Op: seccomp.Equal}}
	}
	p := seccomp.Deny(rule)
	return world{Profile: &p}
}

// TestRefused runs servers where io_uring is refused, in every way that users
// meet, and where something has run out.
func TestRefused(t *testing.T) {
	inChild()
	requireDriver(t, mode{driver: IOUring})
	const ( // io_uring_register(2)
		any          = -1
		restrictions = 11
		pbufRing     = 22
	)
	for _, c := range []struct {
		name  string
		world world
		words []string
	}{
		{"setup EPERM", deny(unix.EPERM, any, "io_uring_setup"), []string{"io_uring_setup: operation not permitted", "allow io_uring_setup", "seccomp profile"}},
		{"setup ENOSYS", deny(unix.ENOSYS, any, "io_uring_setup"), []string{"io_uring_setup: function not implemented", "allow io_uring_setup"}},
		{"setup EACCES", deny(unix.EACCES, any, "io_uring_setup"), []string{"security module", "SELinux"}},
		{"enter EPERM", deny(unix.EPERM, any, "io_uring_enter"), []string{"io_uring_enter", "seccomp profile"}},
		{"register EPERM", deny(unix.EPERM, any, "io_uring_register"), []string{"io_uring_register", "seccomp profile"}},
		{"all ENOSYS", deny(unix.ENOSYS, any, "io_uring_setup", "io_uring_enter", "io_uring_register"), []string{"io_uring_setup: function not implemented"}},
		{"buffer rings EINVAL", deny(unix.EINVAL, pbufRing, "io_uring_register"), []string{"provided buffer rings", "Linux 5.19 or later"}},
		{"buffer rings EPERM", deny(unix.EPERM, pbufRing, "io_uring_register"), []string{"PBUF_RING", "allow"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.world.wantRefused(t, c.words...) })
	}
	for _, c := range []struct {
		name  string
		world world
		words []string
	}{
		{"setup ENOMEM", deny(unix.ENOMEM, any, "io_uring_setup"), []string{"io_uring_setup: cannot allocate memory", "RLIMIT_MEMLOCK"}},
		{"setup EMFILE", deny(unix.EMFILE, any, "io_uring_setup"), []string{"too many open files", "RLIMIT_NOFILE"}},
		{"setup ENFILE", deny(unix.ENFILE, any, "io_uring_setup"), []string{"too many open files in system", "fs.file-max"}},
		{"restrictions ENOMEM", deny(unix.ENOMEM, restrictions, "io_uring_register"), []string{"RESTRICTIONS", "cannot allocate memory"}},
		{"buffer rings ENOMEM", deny(unix.ENOMEM, pbufRing, "io_uring_register"), []string{"cannot allocate memory", "RLIMIT_MEMLOCK"}},
		{"enter ENOMEM", deny(unix.ENOMEM, any, "io_uring_enter"), []string{"cannot allocate memory", "RLIMIT_MEMLOCK"}},
		{"enter EAGAIN", deny(unix.EAGAIN, any, "io_uring_enter"), []string{"connect: resource temporarily unavailable", "no memory"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.world.wantError(t, c.words...) })
	}
	for _, errno := range []syscall.Errno{unix.EPERM, unix.EINVAL} {
		t.Run("restrictions "+unix.ErrnoName(errno), func(t *testing.T) {
			deny(errno, restrictions, "io_uring_register").wantRing(t, "io_uring is unrestricted")
		})
	}
	t.Run("user namespace", func(t *testing.T) { world{userNamespace: true}.wantRing(t) })
	t.Run("RLIMIT_NOFILE", func(t *testing.T) {
		world{NoFiles: true}.wantError(t, "too many open files", "RLIMIT_NOFILE")
	})
	t.Run("RLIMIT_MEMLOCK", testMemoryLimit)
}

// TestLikeGVisor: a kernel that has nothing but what a server needs without
// io_uring, and says ENOSYS to all the rest.
func TestLikeGVisor(t *testing.T) {
	inChild()
	p, err := seccomp.Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	p.DefaultAction, p.DefaultErrnoRet = seccomp.ActErrno, uint32(unix.ENOSYS)
	none := seccomp.Rule{Action: seccomp.ActErrno, ErrnoRet: uint32(unix.ENOSYS), Names: []string{
		"io_uring_setup", "io_uring_enter", "io_uring_register"}}
	p.Syscalls = append([]seccomp.Rule{none}, p.Syscalls...)
	world{Profile: &p}.wantRefused(t, "function not implemented")
}

// TestIOUringDisabled: the sysctl is the whole machine's, so this runs as far
// as it is set; scripts/kernels sets it for guests.
func TestIOUringDisabled(t *testing.T) {
	inChild()
	setting, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	switch value := strings.TrimSpace(string(setting)); value {
	case "1":
		if os.Getuid() != 0 {
			t.Skip("only root can become nobody")
		}
		t.Run("root", func(t *testing.T) { world{}.wantRing(t) })
		words := []string{"kernel.io_uring_disabled is 1", "kernel.io_uring_group"}
		t.Run("nobody", func(t *testing.T) { world{User: nobody}.wantRefused(t, words...) })
		t.Run("user namespace", func(t *testing.T) { world{userNamespace: true}.wantRefused(t, words...) })
	case "2":
		world{}.wantRefused(t, "kernel.io_uring_disabled is 2", "set kernel.io_uring_disabled=0")
	default:
		t.Skipf("kernel.io_uring_disabled is %q here: scripts/kernels/all sets it", value)
	}
}

// TestAuto: Auto's choice serves and gives its reasons. RINGCORE_TEST_AUTO says
// which it has to be here.
func TestAuto(t *testing.T) {
	inChild()
	v := world{}.try(t, Auto)
	if want := os.Getenv("RINGCORE_TEST_AUTO"); want != "" && v.Driver != want {
		t.Errorf("auto is %s (%s), want %s", v.Driver, v.Reason, want)
	}
	switch v.Driver {
	case "io_uring":
		world{}.wantRing(t)
	case "epoll":
		world{}.wantRefused(t)
	default:
		t.Errorf("%+v", v)
	}
}
