package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestUnderProfile: the server runs under the seccomp profile that ringcore
// ships, with load on it, and drains. What the profile forgets ends it. The
// server that is built without cgo starts its threads by other calls.
func TestUnderProfile(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to build scripts/seccomp/under with")
	}
	root := t.TempDir()
	file := strings.Repeat("line of a file\n", 20000)
	if err := os.WriteFile(filepath.Join(root, "file.txt"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	under := filepath.Join(root, "under")
	if out, err := exec.Command("go", "build", "-o", under, "../../scripts/seccomp/under").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	usual, err := program()
	if err != nil {
		t.Fatal(err)
	}
	use := func(name, server, driver, dispatch string) {
		t.Run(name, func(t *testing.T) {
			p := startCommand(t, under, "-trap", server, "-addr", "127.0.0.1:0",
				"-driver", driver, "-dispatch", dispatch, "-root", root)
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for range 10 {
						checkAnswers(t, p, "/file.txt", file)
						checkAnswers(t, p, "/plaintext", "Hello, World!")
						checkAnswers(t, p, "/bytes?n=300000", strings.Repeat(string(block), 5)[:300000])
						checkAnswers(t, p, "/slow?ms=1", "waited 1 ms\n")
					}
				})
			}
			clients.Wait()
			checkCurl(t, p)
			p.signal(syscall.SIGTERM)
			if code := p.wait(); code != 0 {
				t.Errorf("exit status %d: %.2000s", code, p.stderr.String())
			}
		})
	}
	for _, s := range setups() {
		use(s[0]+"/"+s[1], usual, s[0], s[1])
	}
	static := buildStatic(t)
	for _, driver := range []string{"io_uring", "epoll"} {
		use("static/"+driver, static, driver, "adaptive")
	}
}
