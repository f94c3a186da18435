package procfs

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	s, err := parseStat("42 (a b) (c)) S 1 42 42 0 -1 4194560 100 200 0 0 150 50 7 3 20 0 5 0 100 1000 200\n")
	if err != nil || s.own != 2*time.Second || s.children != 100*time.Millisecond {
		t.Errorf("%+v, %v; want 2 s and 0.1 s", s, err)
	}
	for _, bad := range []string{"", "1 (x) S", "1 (x) S 1 1 1 0 -1 0 0 0 0 0 a b c d"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseSwitches(t *testing.T) {
	if n := parseSwitches("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t30\n"); n != 42 {
		t.Errorf("%d, want 42", n)
	}
}

func TestParseRollup(t *testing.T) {
	m := parseRollup("00-ff ---p 0 00:00 0 [rollup]\nRss: 100 kB\nPss: 60 kB\nPss_Dirty: 9 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty: 40 kB\n")
	if m.PSS != 60<<10 || m.Private != 43<<10 {
		t.Errorf("%+v", m)
	}
}

func TestParseCPUs(t *testing.T) {
	const text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 0 50 800 10 5 5 30 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 5\n"
	c, err := parseCPUs(text, []int{0})
	if err != nil || c.Busy != 1600*time.Millisecond || c.Steal != 300*time.Millisecond || c.Total != 10*time.Second {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := parseCPUs(text, []int{0, 2}); err == nil {
		t.Error("a CPU that is not there was found")
	}
}

// The usage of a tree holds what its children burned, while they run and
// after they have ended.
func TestTree(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	before, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read x; exit 0")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	during, err := Read(os.Getpid())
	if err != nil || during.Processes < before.Processes+1 {
		t.Errorf("%d processes with the child, %d without, %v", during.Processes, before.Processes, err)
	}
	if d := during.Since(before); d.CPU < 5*time.Millisecond || d.Switches <= 0 {
		t.Errorf("the child burned %v, %d switches", d.CPU, d.Switches)
	}
	if m, err := ReadMemory(cmd.Process.Pid); err != nil || m.PSS <= 0 || m.Private <= 0 {
		t.Errorf("memory %+v, %v", m, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := Read(cmd.Process.Pid); err == nil {
		t.Error("the process that has ended was read")
	}
}
