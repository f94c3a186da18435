//go:build linux

package conn

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LocalAddr returns the local address; it is not valid for a unix socket, and
// when the connection is already gone. A system call.
func (c *Conn) LocalAddr() netip.AddrPort { return c.loop.address(unix.SYS_GETSOCKNAME, c.fd) }

// RemoteAddr returns the peer's address; like LocalAddr.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.loop.address(unix.SYS_GETPEERNAME, c.fd) }

// sockAddr is where the system writes an address. It is the loop's, since the
// wrappers of getpeername(2) and getsockname(2) allocate: as garbage, half of
// what an idle connection costs.
type sockAddr struct {
	raw unix.RawSockaddrAny
	len uint32
}

// address asks for an address by getpeername(2) or getsockname(2).
func (l *Loop) address(call uintptr, fd int32) netip.AddrPort {
	a := &l.addr
	a.len = unix.SizeofSockaddrAny
	_, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.len)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	switch a.raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), networkOrder(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
		ip := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(in.Scope_id), 10))
		}
		return netip.AddrPortFrom(ip, networkOrder(&in.Port))
	}
	return netip.AddrPort{}
}

// networkOrder reads a port as it lies in memory: big-endian.
func networkOrder(port *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(port))[:])
}
