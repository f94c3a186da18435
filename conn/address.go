//go:build linux

package conn

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
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

// sockaddrMax is the size of the largest address of ours, struct sockaddr_un.
const sockaddrMax = unix.SizeofSockaddrUnix

// putSockaddr writes addr to p as a struct sockaddr of n bytes.
func putSockaddr(p []byte, addr net.Addr) (domain, n int, err error) {
	p = p[:sockaddrMax]
	clear(p)
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a.Port < 0 || a.Port > math.MaxUint16 {
			return 0, 0, fmt.Errorf("port %d: %w", a.Port, unix.EINVAL)
		}
		binary.BigEndian.PutUint16(p[2:], uint16(a.Port)) // in both families
		ip4 := a.IP.To4()
		switch {
		case ip4 != nil || len(a.IP) == 0: // without an address: this machine
			domain, n = unix.AF_INET, unix.SizeofSockaddrInet4
			copy(p[4:8], ip4)
		case len(a.IP) == net.IPv6len:
			domain, n = unix.AF_INET6, unix.SizeofSockaddrInet6
			copy(p[8:24], a.IP)
			zone, err := zoneIndex(a.Zone)
			if err != nil {
				return 0, 0, err
			}
			binary.NativeEndian.PutUint32(p[24:], zone)
		default:
			return 0, 0, fmt.Errorf("an IP address of %d bytes: %w", len(a.IP), unix.EINVAL)
		}
	case *net.UnixAddr:
		name := a.Name
		if a.Net != "" && a.Net != "unix" || name == "" || len(name) >= sockaddrMax-2 {
			return 0, 0, fmt.Errorf("a socket %q of network %q: %w", name, a.Net, unix.EINVAL)
		}
		domain, n = unix.AF_UNIX, 2+copy(p[2:], name)
		if name[0] == '@' { // abstract, unix(7)
			p[2] = 0
		} else {
			n++ // the zero at its end
		}
	default:
		return 0, 0, fmt.Errorf("an address of type %T: %w", addr, unix.EAFNOSUPPORT)
	}
	binary.NativeEndian.PutUint16(p, uint16(domain))
	return domain, n, nil
}

// zoneIndex returns the number of the interface that an IPv6 address is local to.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}
