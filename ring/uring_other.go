//go:build !linux

package ring

import (
	"runtime"
	"time"
)

// Uring is the Driver over one io_uring. It exists on Linux only.
type Uring struct{}

var _ Driver = (*Uring)(nil)

// Open reports that io_uring is Linux only, by a *RefusedError.
func Open(Config) (*Uring, error) { return nil, errNotLinux() }

// Probe reports that io_uring is Linux only, by a *RefusedError.
func Probe(Tier) (Features, error) { return Features{}, errNotLinux() }

func errNotLinux() error {
	return &RefusedError{Cause: "io_uring is Linux only, this is " + runtime.GOOS}
}

// The methods exist so that programs compile. There is no Uring to call them on.

func (*Uring) Features() Features         { return Features{} }
func (*Uring) Accept(int, Token)          {}
func (*Uring) Receive(int, Token)         {}
func (*Uring) Send(int, Token, []byte)    {}
func (*Uring) Socket(int) (int, error)    { return -1, errNotLinux() }
func (*Uring) Connect(int, Token, []byte) {}
func (*Uring) Cancel(int, Token, Op)      {}
func (*Uring) Close(int)                  {}
func (*Uring) Detach(int) error           { return errNotLinux() }
func (*Uring) Release(BufferID)           {}
func (*Uring) Next(*Event) bool           { return false }
func (*Uring) Wait(time.Duration) error   { return errNotLinux() }
func (*Uring) Wake()                      {}
func (*Uring) Stats() Stats               { return Stats{} }
func (*Uring) Destroy() error             { return nil }
