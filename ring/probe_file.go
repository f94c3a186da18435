//go:build linux

package ring

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// files opens, examines, reads and closes a file, and reports whether all of
// that works. A ring that does not do it is good for the rest, and so is one
// where a file takes too long: its file system may be over a network that is
// down. An error is one of the moment (ENOMEM, EMFILE, ENFILE).
func (p *probe) files() (works bool, err error) {
	if err = p.tryFiles(); err == nil {
		return true, nil
	}
	if errno := errnoOf(err); errno != errSilence && verdictOf(errno) == fail {
		return false, p.failed("files", err)
	}
	return false, nil
}

func (p *probe) tryFiles() error {
	memory, err := mapMemory(int(unsafe.Sizeof(OpenRequest{}) + unsafe.Sizeof(Stat{})))
	if err != nil {
		return err
	}
	done := false // else the kernel may still have it
	defer func() {
		if done {
			unix.Munmap(memory)
		}
	}()
	request := (*OpenRequest)(unsafe.Pointer(&memory[0]))
	stat := (*Stat)(unsafe.Pointer(&memory[unsafe.Sizeof(*request)]))
	if errno := request.Set(".", true); errno != 0 {
		return errno
	}
	p.u.Open(AtCWD, probeToken, request)
	ev, err := p.next(OpOpen, 0)
	if err != nil {
		done = ev.Op == OpOpen
		return err
	}
	dir := ev.N
	p.u.CloseFile(dir)

	// The one file that there is everywhere is the one that we make.
	fd, err := unix.MemfdCreate("probe", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("file")); err != nil {
		return err
	}
	p.u.Stat(fd, probeToken, stat)
	if ev, err = p.next(OpStat, 0); err != nil {
		done = ev.Op == OpStat
		return err
	}
	if stat.Size() != 4 || !stat.Mode().IsRegular() {
		return errors.New("it is not the file's state")
	}
	in := memory[:4]
	p.u.Read(fd, probeToken, in, 1)
	if ev, err = p.next(OpRead, 0); err != nil {
		done = ev.Op == OpRead
		return err
	}
	done = true
	if p.u.closeRefused {
		unix.Close(dir)
		return errors.New("it is not closed")
	}
	if ev.N != 3 || string(in[:3]) != "ile" {
		return errors.New("it is not what the file holds")
	}
	return nil
}
