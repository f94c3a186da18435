//go:build linux

package httpcore

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFilesSpecial: what is neither a file nor a directory is not there, and
// nobody waits for it.
func TestFilesSpecial(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := newSite(t)
		s.write("file.txt", "file")
		if err := unix.Mkfifo(filepath.Join(s.root, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(s.root, "dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(s.root, "dir/index.html"), 0o644); err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("unix", filepath.Join(s.root, "socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		for _, name := range []string{"zero", "tty"} {
			if err := os.Symlink("/dev/"+name, filepath.Join(s.root, name)); err != nil {
				t.Fatal(err)
			}
		}
		c := s.serve(m, &Files{AllowSymlinksOutsideRoot: true}).dial()
		for range 2 {
			for _, path := range []string{"/fifo", "/dir/", "/zero"} {
				if resp := c.ask("GET", path); resp.StatusCode != 404 {
					t.Errorf("GET %s: %d, want 404", path, resp.StatusCode)
				}
			}
			for _, path := range []string{"/socket", "/tty"} { // not even opened
				if resp := c.ask("GET", path); resp.StatusCode < 400 {
					t.Errorf("GET %s: %d", path, resp.StatusCode)
				}
			}
			if resp := c.ask("GET", "/file.txt"); resp.body != "file" {
				t.Errorf("the file beside them: %q", resp.body)
			}
		}
		eventually(t, "every file's close", func() bool {
			n := openBelow(t, s.root)
			return n <= 2 // the root's and the file's, which are kept
		})
	})
}
