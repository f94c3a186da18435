// Command load puts HTTP/1.1 load on a server and measures what comes back. It
// runs on ringcore's own loop, cheap enough that the server is the bottleneck.
//
//	go run ./bench/load -h
//
// Exit status: 0 measured; 1 the run could not begin or ended early; 2 wrong
// flags; 3 measured, and there were errors; 130 interrupted (what was measured
// until then is printed all the same).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ringcore/ringcore/bench/load/gen"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings given; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	bar := newProgress(stderr)
	c.gen.OnTick = bar.onTick()
	report, err := gen.Run(ctx, c.gen)
	bar.finish()
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 1
	}
	if err := write(report, c.json, stdout); err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 1
	}
	switch {
	case report.Interrupted:
		return 130
	case report.Aborted != "":
		fmt.Fprintln(stderr, "load:", report.Aborted)
		return 1
	case len(report.Errors) > 0:
		return 3
	}
	return 0
}

// write writes the report: for people to stdout, unless JSON goes there, and
// as JSON to the file, if one is named ("-": stdout).
func write(r *gen.Report, file string, stdout io.Writer) error {
	if file != "-" {
		writeText(stdout, r)
		if file == "" {
			return nil
		}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file == "-" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
