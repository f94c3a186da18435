// Command under runs a program under a seccomp profile, without a container:
//
//	go run ./scripts/seccomp/under bench-server -driver io_uring
//	go run ./scripts/seccomp/under -deny io_uring_setup=EPERM bench-server
//
// It needs no privilege. Exit status 125: it could not; else the program's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/scripts/seccomp"
)

const usage = `Usage: under [-profile FILE | -deny CALL=ERRNO,…] [-trap] COMMAND [ARG…]
       under -systemd

  -profile FILE      the profile, in Docker's form (default: ringcore's)
  -deny CALL=ERRNO,… allows everything but these system calls
  -trap              what the profile does not name raises SIGSYS instead of failing:
                     a Go program then says who called it
  -systemd           prints ringcore's profile as lines of a unit
`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "under:", err)
		os.Exit(125)
	}
}

func run() error {
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	file := flag.String("profile", "", "")
	deny := flag.String("deny", "", "")
	trap := flag.Bool("trap", false, "")
	systemd := flag.Bool("systemd", false, "")
	flag.Parse()
	profile, err := choose(*file, *deny)
	if err != nil {
		return err
	}
	if *systemd {
		fmt.Print(profile.Systemd())
		return nil
	}
	if *trap {
		profile.DefaultAction = seccomp.ActTrap
	}
	if flag.NArg() == 0 {
		flag.Usage()
		return errors.New("no command")
	}
	path, err := exec.LookPath(flag.Arg(0))
	if err != nil {
		return err
	}
	if err := profile.Apply(); err != nil {
		return err
	}
	return syscall.Exec(path, flag.Args(), os.Environ())
}

// choose returns the profile that the flags ask for.
func choose(file, deny string) (seccomp.Profile, error) {
	switch {
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return seccomp.Profile{}, err
		}
		return seccomp.Parse(text)
	case deny == "":
		return seccomp.Ringcore()
	}
	var rules []seccomp.Rule
	for _, part := range strings.Split(deny, ",") {
		call, name, _ := strings.Cut(part, "=")
		errno := errnoOf(name)
		if errno == 0 {
			return seccomp.Profile{}, fmt.Errorf("%q: want CALL=ERRNO, as in io_uring_setup=EPERM", part)
		}
		rules = append(rules, seccomp.Rule{Names: []string{call}, Action: seccomp.ActErrno, ErrnoRet: errno})
	}
	return seccomp.Deny(rules...), nil
}

// errnoOf is the number of an error's name, 0 if there is none of that name.
func errnoOf(name string) uint32 {
	for n := range uint32(200) {
		if n > 0 && unix.ErrnoName(syscall.Errno(n)) == name {
			return n
		}
	}
	return 0
}
