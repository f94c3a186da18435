// Command compare runs ringcore and other servers under the same loads and
// reports what a request costs each:
//
//	go run ./bench/compare -quick
//	go run ./bench/compare -out DIR    # report.md, report.json, report.html
//
// It needs Linux and two CPUs. The server is pinned to one half of the CPUs and
// the load to the other; rounds of all servers are interleaved, and ratios
// compare within a round, so that a machine that changes its pace does not
// decide. A winner is named only if the whole confidence interval says so, the
// difference is worth it, and nothing else kept the machine busy. System calls
// are counted in a round of their own. With -h it lists all flags.
//
// Exit status: 0 measured; 1 the run failed; 2 wrong flags; 130 interrupted
// (the servers are ended, and what was measured until then is written).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/bench/compare/loader"
	"github.com/ringcore/ringcore/bench/compare/pin"
	"github.com/ringcore/ringcore/bench/compare/report"
	"github.com/ringcore/ringcore/bench/compare/target"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == holdCommand {
		os.Exit(hold(os.Args[2:]))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	cpus, err := pin.Allowed()
	if err != nil {
		fmt.Fprintln(stderr, "compare:", err)
		return 1
	}
	o, err := parseFlags(args, cpus)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprintf(stdout, usage, strings.Join(peerNames(), ","), strings.Join(scenarioNames(), ","))
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "compare:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = compare(ctx, o, stdout, stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "compare: interrupted; the servers have been ended, and what was measured until then is written")
		if !errors.Is(err, context.Canceled) {
			fmt.Fprintln(stderr, "compare:", err)
		}
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "compare:", err)
		return 1
	}
	return 0
}

// compare prepares a run in a temporary folder, runs it, and writes the report.
func compare(ctx context.Context, o options, stdout, progress io.Writer) (err error) {
	began := time.Now()
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil { // before the work, not after
			return err
		}
	}
	dir, err := os.MkdirTemp("", "ringcore-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// servers that give up root's rights read their files here
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	c := &comparison{options: o, dir: dir, targets: o.targets(), progress: progress, report: new(report.Report)}
	if err := c.build(ctx); err != nil {
		return err
	}
	if c.quick {
		c.budget = newBudget(began, time.Now())
	}
	if err = c.run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	c.report.Interrupted = ctx.Err() != nil
	return errors.Join(err, c.write(stdout))
}

// build makes the programs and files that a run needs.
func (c *comparison) build(ctx context.Context) error {
	c.env = target.Env{
		Dir: c.dir, Root: filepath.Join(c.dir, "root"), CPUs: c.server,
		Server: filepath.Join(c.dir, "server"), Peers: filepath.Join(c.dir, "peers"),
	}
	if err := target.Files(c.env.Root); err != nil {
		return err
	}
	c.say("building the servers … (the first time Go compiles everything: that takes a minute or two)")
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/ringcore/ringcore").Output()
	if err != nil {
		return fmt.Errorf("run it in the repository, by go run ./bench/compare: %w", err)
	}
	repository := strings.TrimSpace(string(out))
	if err := build(ctx, repository, c.env.Server, "./bench/server"); err != nil {
		return err
	}
	if slices.ContainsFunc(c.targets, func(t target.Target) bool { return t.Built }) {
		if err := build(ctx, filepath.Join(repository, "bench", "peers"), c.env.Peers, "."); err != nil {
			return err
		}
	}
	c.loader, err = c.chooseLoader(ctx, repository)
	return err
}

func build(ctx context.Context, dir, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", pkg, dir, err, text)
	}
	return nil
}

// chooseLoader takes bench/load unless another is asked for.
func (c *comparison) chooseLoader(ctx context.Context, repository string) (loader.Loader, error) {
	if c.options.loader == "wrk" {
		wrk, err := exec.LookPath("wrk")
		if err != nil {
			return nil, errors.New("wrk is not installed (Debian package wrk)")
		}
		return loader.Wrk{Program: wrk, Dir: c.dir}, nil
	}
	program := filepath.Join(c.dir, "load")
	return loader.Load{Program: program, Dir: c.dir}, build(ctx, repository, program, "./bench/load")
}

// write prints the report and writes the files that were asked for.
func (c *comparison) write(stdout io.Writer) error {
	if err := c.report.WriteMarkdown(stdout); err != nil {
		return err
	}
	if c.out == "" {
		return nil
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.md": c.report.WriteMarkdown, "report.json": c.report.WriteJSON, "report.html": c.report.WriteHTML,
	} {
		f, err := os.Create(filepath.Join(c.out, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
