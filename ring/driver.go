package ring

import (
	"fmt"
	"syscall"
	"time"
)

// Op says what kind of operation a completion belongs to.
type Op uint8

// The operations of the vocabulary.
const (
	OpNone     Op = iota
	OpAccept      // a stream of accepted sockets
	OpReceive     // a stream of received buffers
	OpSend        // one send
	OpConnect     // one connect
	OpWritable    // one wait for room to send, see WriteWaiter
	OpSendFile    // one send of a part of a file, see FileSender
	OpOpen        // one open of a file, see Files
	OpStat        // one stat
	OpRead        // one read of a file
)

func (o Op) String() string {
	switch o {
	case OpAccept:
		return "accept"
	case OpReceive:
		return "receive"
	case OpSend:
		return "send"
	case OpConnect:
		return "connect"
	case OpWritable:
		return "writable"
	case OpSendFile:
		return "send file"
	case OpOpen:
		return "open"
	case OpStat:
		return "stat"
	case OpRead:
		return "read"
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Token names the owner of an operation: a slot and the slot's generation.
// A driver carries it through the kernel untouched and returns it with every
// completion, so that a completion which arrives after its slot was reused is
// recognised: its generation is an older one.
//
// Layout: bits 0–31 slot, bits 32–55 generation. Bits 56–63 are the driver's
// (it keeps the Op there) and are zero in every Token that it returns.
type Token uint64

// generationBits bounds a generation; it wraps around after 2^24 reuses of one slot.
const generationBits = 24

// MakeToken builds a Token. Only the low 24 bits of generation are kept.
func MakeToken(slot, generation uint32) Token {
	return Token(slot) | Token(generation&(1<<generationBits-1))<<32
}

// Slot returns the slot's number.
func (t Token) Slot() uint32 { return uint32(t) }

// Generation returns the slot's generation, 24 bits of it.
func (t Token) Generation() uint32 { return uint32(t>>32) & (1<<generationBits - 1) }

// Event is one completion.
type Event struct {
	// Token is what the command was given.
	Token Token
	// Op says which command this completes.
	Op Op
	// More: further completions of the same operation follow. When it is
	// false the operation has ended, whatever the result, and its resources
	// may be reused.
	More bool
	// Err is the error of the operation, 0 for none. See the commands for
	// the values that are part of the contract.
	Err syscall.Errno
	// N is the result: the new socket of an accept; the number of bytes
	// received (0: the peer has closed its side) or sent; see Files for those
	// of files.
	N int
	// Data holds the bytes of a receive, nil for every other event. It
	// belongs to the driver; give it back with Driver.Release(Buffer).
	Data []byte
	// Buffer is the number of the buffer behind Data.
	Buffer BufferID
}

// BufferID numbers a receive buffer of one driver. NoBuffer (the zero value)
// means that an event carries none.
type BufferID uint32

// NoBuffer is the BufferID of an event without data.
const NoBuffer BufferID = 0

// Driver accepts commands and returns completions. It is implemented by the
// io_uring of this package, by epoll in package fallback, and by the simulated
// kernel of conn's tests.
//
// Concurrency: every method but Wake belongs to one goroutine, locked to its
// thread for the driver's life.
//
// Commands never fail by themselves: whatever goes wrong is the result of a
// completion. They may be queued and reach the kernel with the next Wait.
// Events of one operation arrive in order; between operations there is none.
type Driver interface {
	// Accept starts a stream of accepted connections from the listening
	// socket fd. Every event's N is a new socket (close-on-exec, in the
	// blocking mode that this driver wants) which the receiver owns. The
	// stream ends with More false: after an error (EMFILE, ENFILE, ENOMEM,
	// ENOBUFS: wait before arming again; EAGAIN, EINTR, ECONNABORTED: arm
	// again at once; ECANCELED: Cancel did it; others are final).
	Accept(fd int, t Token)

	// Receive starts a stream of received bytes from the connected socket
	// fd, each in a buffer of the driver's. It ends with More false:
	//   - N > 0 and Err 0: data, and the stream has to be armed again;
	//   - N = 0 and Err 0: the peer closed its side;
	//   - ENOBUFS: the driver is out of buffers; arm again once one has been
	//     released, not before;
	//   - EAGAIN: there may be one: arm again. While events are left that Next has
	//     not returned yet, these may have all buffers, and this ends again;
	//   - ECANCELED: Cancel did it; any other error is the connection's.
	// At most one receive may be armed for a socket.
	Receive(fd int, t Token)

	// Send sends p on the connected socket fd. Exactly one event follows: N
	// bytes were taken (fewer than len(p) is possible and the rest is the
	// caller's to send again) or Err. p must lie outside the Go heap and
	// stay unchanged until that event. At most one send may be in flight
	// for a socket, so that its bytes keep their order.
	Send(fd int, t Token, p []byte)

	// Socket makes a stream socket of the address family domain (AF_INET,
	// AF_INET6 or AF_UNIX), close-on-exec and in the blocking mode that this
	// driver wants, for Connect. The caller owns it.
	Socket(domain int) (fd int, err error)

	// Connect connects the new socket fd to addr, a struct sockaddr of its
	// family (sockaddr(3type)). Exactly one event follows: Err is 0, or why
	// not, among them
	//   - EAGAIN: the backlog of a unix socket is full; try again later;
	//   - ECANCELED, EINTR: it was cut short. The socket may be connecting
	//     still: close it, and try again with a new one.
	// There is no limit in time but the system's: Cancel. addr must lie
	// outside the Go heap and stay unchanged until the event. A connect counts
	// as a send: at most one of both may be in flight for a socket.
	Connect(fd int, t Token, addr []byte)

	// Cancel asks for the end of the operation op that was started for t
	// on fd. The operation's own last completion (More false; ECANCELED, or
	// whatever came first) still follows; Cancel itself produces none.
	// Cancelling what has already ended is harmless.
	Cancel(fd int, t Token, op Op)

	// Close closes the socket fd. The last completion of every operation
	// on it must have been taken.
	Close(fd int)

	// Detach makes the driver forget the socket fd, which stays open and is
	// put into non-blocking mode, as Go's own net package wants it. The last
	// completion of every operation on it must have been taken.
	Detach(fd int) error

	// Release hands a receive's buffer back. Data is invalid from then on.
	Release(id BufferID)

	// Next takes the next completion into ev and reports whether there was
	// one. It does not enter the kernel to wait.
	Next(ev *Event) bool

	// Wait submits what is queued and returns when there may be completions
	// to take, after Wake, or after timeout (negative: no limit; 0: do not
	// wait). A signal may end it early. An error is fatal to the driver.
	Wait(timeout time.Duration) error

	// Wake ends the present or the next Wait. It may be called from any
	// goroutine, at any time; after Destroy it does nothing.
	Wake()

	// Stats returns counters for people and tests.
	Stats() Stats

	// Destroy gives everything back to the kernel. Operations in flight are
	// cancelled and waited for; their completions are lost, sockets accepted
	// among them closed.
	Destroy() error
}

// Stats counts what a driver did since it was opened.
type Stats struct {
	// Enters is the number of system calls made by Wait, and of those made
	// by commands (the epoll driver's recv, send, accept …).
	Enters uint64
	// Submitted is the number of operations handed to the kernel.
	Submitted uint64
	// Completed is the number of events taken with Next.
	Completed uint64
	// Buffers is the number of receive buffers provided, BuffersInUse how
	// many of those are with the receiver now.
	Buffers, BuffersInUse int
}

// Config sizes a driver. The zero value of a field means its default.
type Config struct {
	// Entries is the size of the submission queue: 1 to 32768, a power of
	// two; default 4096. (io_uring only.)
	Entries int
	// CQEntries is the size of the completion queue, at least Entries, at
	// most 65536, a power of two; default 4 × Entries. (io_uring only.)
	CQEntries int
	// Buffers is the largest number of receive buffers: 1 to 32768, a power
	// of two; default 4096. A driver starts with few and provides more when
	// it runs out, so that resident memory follows the load.
	Buffers int
	// BufferSize is the size of a receive buffer in bytes: 64 to 1 MiB;
	// default 4096.
	BufferSize int
	// MaxTier is the highest tier that may be used; default TierBest.
	// (io_uring only.)
	MaxTier Tier
	// Movable asks for a driver that may change hands: see Mover. An io_uring
	// is then set up without IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN,
	// which bind it to one thread. COOP_TASKRUN costs 0 to 6 % more, and with
	// 8,192 busy connections 30 to 50 %: all that has come is received at once,
	// into as many buffers.
	Movable bool
}

// Mover is implemented by a Driver that another goroutine can take over from
// its owner (with Config.Movable). A Driver that is no Mover does not care which
// goroutine calls it, as long as it is one at a time.
type Mover interface {
	// Move makes the calling goroutine the driver's owner; it must be locked
	// to its thread. The former one may be anywhere, blocked or busy, but in a
	// call of this driver, and must make none any more. Operations in flight
	// that depend on the former owner's thread end with ECANCELED and are to
	// be started again; a send may have taken some bytes before that.
	Move()
}

// Gatherer is implemented by a Driver that may hold back completions until it is
// called again.
type Gatherer interface {
	// Gather submits what was asked for, and fetches more completions for
	// Next, without waiting. For the owner.
	Gather()
}
