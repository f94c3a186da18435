package ring

// FileSender is implemented by a Driver that sends parts of regular files from
// the page cache, without a copy in the program's memory and without its owner
// having to wait for the disk.
type FileSender interface {
	// SendFile sends at most n bytes (1 or more) of the open file, from offset
	// on, on the connected socket fd. Exactly one event of OpSendFile follows:
	// N bytes were taken, and the rest is the caller's to send again; N 0
	// without error: the file ends there; or Err, among them
	//   - EAGAIN, EINTR: send again;
	//   - ECANCELED: Cancel did it;
	//   - EINVAL, EOPNOTSUPP, ENOSYS, EPERM: this file, or any, cannot be sent
	//     in this way; read it.
	// The event comes as soon as some was taken: SendFileMax bytes at most. If
	// it was less than could have been, the socket is full: say so with the
	// next part, to save a try in vain.
	//
	// It counts as a send: at most one of both may be in flight for a socket.
	// Both descriptors must stay open until the event. The socket may be in
	// non-blocking mode from now on. A peer that has gone raises SIGPIPE, as
	// with write(2), which Go ignores unless it is told not to (os/signal).
	//
	// What is written to the file meanwhile may be sent or not; so may zeros in
	// place of what is cut off within its last page (sendfile(2)).
	SendFile(fd int, t Token, file int, offset, n int64, full bool)
}

// SendFileMax is the most that one SendFile sends, in bytes. It makes up for the
// hand-over to a worker, and is not so much that others would wait for long.
const SendFileMax = 1 << 20

// WriteWaiter is implemented by a Driver over sockets of the system.
type WriteWaiter interface {
	// Writable waits until the connected socket fd takes something to send, or
	// has failed. Exactly one event of OpWritable follows, without error or
	// with ECANCELED, also where nobody has cancelled it (see Mover). It may
	// come too early. It counts as a send: at most one of both may be in flight
	// for a socket.
	Writable(fd int, t Token)
}
