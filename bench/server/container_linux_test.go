package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ringcore/ringcore/scripts/seccomp"
)

// TestInContainer runs the server in containers, as Docker, containerd, CRI-O and
// Podman make them: under the seccomp profile that ringcore ships, which has to do
// for the runtime too, and under one that refuses io_uring, as Docker's does.
func TestInContainer(t *testing.T) {
	ours, err := seccomp.Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	refusing := seccomp.Deny(seccomp.Rule{Action: seccomp.ActErrno, ErrnoRet: uint32(syscall.EPERM),
		Names: []string{"io_uring_setup", "io_uring_enter", "io_uring_register"}})
	server := sync.OnceValue(func() string { return buildStatic(t) })
	for _, runtime := range []string{"runc", "crun"} {
		t.Run(runtime, func(t *testing.T) {
			if _, err := exec.LookPath(runtime); err != nil {
				t.Skip(err)
			}
			b := newBundle(t, runtime, server())
			outside, _, _ := strings.Cut(startServer(t).start, " address=")
			t.Run("ours", func(t *testing.T) { b.serve(t, ours, outside) })
			t.Run("refusing", func(t *testing.T) {
				b.serve(t, refusing, "driver=epoll (io_uring is not available: io_uring_setup: operation not permitted: "+
					"forbidden, most likely by the container's seccomp profile")
			})
		})
	}
}

// buildStatic builds a server that needs no libraries.
func buildStatic(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-o", name, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// bundle is what an OCI runtime makes a container of.
type bundle struct {
	runtime, folder string
}

// newBundle makes one with the server in it. The test is skipped where the
// runtime makes no containers.
func newBundle(t *testing.T, runtime, server string) *bundle {
	t.Helper()
	b := &bundle{runtime, t.TempDir()}
	root := filepath.Join(b.folder, "rootfs")
	for _, name := range []string{"proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(server, filepath.Join(root, "server")); err != nil {
		t.Fatal(err)
	}
	words := b.words(t, nil, "-h")
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Skipf("%s makes no containers here: %v\n%s", runtime, err, out)
	}
	return b
}

// words is a command that runs the server in a container of its own, which has
// the network of this test.
func (b *bundle) words(t *testing.T, profile *seccomp.Profile, args ...string) []string {
	t.Helper()
	type object map[string]any
	linux := object{"namespaces": []object{{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}}}
	if profile != nil {
		linux["seccomp"] = profile
	}
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"root":       object{"path": "rootfs", "readonly": true},
		"process": object{
			"cwd": "/", "args": append([]string{"/server"}, args...), "noNewPrivileges": true,
			"user": object{"uid": 65534, "gid": 65534},
		},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
		},
		"linux": linux,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.folder, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	state, name := filepath.Join(b.folder, "state"), fmt.Sprintf("ringcore-test-%d", os.Getpid())
	t.Cleanup(func() { // an error: it is gone, as it should be
		_ = exec.Command(b.runtime, "--root", state, "delete", "--force", name).Run()
	})
	return []string{b.runtime, "--root", state, "run", "--bundle", b.folder, name}
}

// serve serves in a container, with a start line that has the words of want.
func (b *bundle) serve(t *testing.T, profile seccomp.Profile, want string) {
	p := startCommand(t, b.words(t, &profile, "-addr", "127.0.0.1:0")...)
	if !strings.Contains(p.start, want) {
		t.Errorf("the start line %q does not say %q", p.start, want)
	}
	checkAnswers(t, p, "/plaintext", "Hello, World!")
	checkAnswers(t, p, "/slow?ms=1", "waited 1 ms\n")
	p.signal(syscall.SIGTERM) // which the runtime passes on
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d: %.2000s", code, p.stderr.String())
	}
}
