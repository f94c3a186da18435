package httpcore

import "bytes"

// validHost tells whether b is uri-host [ ":" port ] with a host that is not
// empty: the Host field (RFC 9110 section 7.2) and the authority of an http
// URI (section 4.2.1, which refuses an empty host; 4.2.4, which refuses
// userinfo).
func validHost(b []byte) bool {
	host, _, ok := splitAuthority(b)
	return ok && len(host) > 0
}

// splitAuthority parses host [ ":" port ] by the grammar of RFC 3986 section
// 3.2 without userinfo. The host may be empty, and so may the port; any number
// of digits is a port. An IPv4address is a reg-name as well and needs no rule
// of its own.
func splitAuthority(b []byte) (host, port []byte, ok bool) {
	n := 0
	if len(b) > 0 && b[0] == '[' {
		if n = bytes.IndexByte(b, ']') + 1; n == 0 || !validIPLiteral(b[1:n-1]) {
			return nil, nil, false
		}
	} else {
		for n < len(b) && b[n] != ':' { // reg-name: section 3.2.2
			if octets[b[n]]&octRegName == 0 {
				if b[n] != '%' || !hexAt(b, n+1) || !hexAt(b, n+2) {
					return nil, nil, false
				}
				n += 2
			}
			n++
		}
	}
	if n == len(b) {
		return b, nil, true
	}
	if b[n] != ':' {
		return nil, nil, false
	}
	for _, c := range b[n+1:] {
		if octets[c]&octDigit == 0 {
			return nil, nil, false
		}
	}
	return b[:n], b[n+1:], true
}

func hexAt(b []byte, i int) bool { return i < len(b) && octets[b[i]]&octHex != 0 }

// validIPLiteral is IPv6address / IPvFuture, what stands within the brackets.
// A zone identifier has no place in a message (RFC 6874 section 4).
func validIPLiteral(b []byte) bool {
	if len(b) == 0 || b[0]|0x20 != 'v' {
		return validIPv6(b)
	}
	// IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
	dot := bytes.IndexByte(b, '.')
	if dot < 2 || dot+1 == len(b) {
		return false
	}
	for _, c := range b[1:dot] {
		if octets[c]&octHex == 0 {
			return false
		}
	}
	for _, c := range b[dot+1:] {
		if octets[c]&octRegName == 0 && c != ':' {
			return false
		}
	}
	return true
}

// validIPv6 is IPv6address of RFC 3986 section 3.2.2: eight groups of one to
// four HEXDIG, the last two of which may be an IPv4address, and at most one
// "::" that stands for one group or more.
func validIPv6(b []byte) bool {
	const all = 8
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
		if len(b) == 0 {
			return true
		}
	}
	for {
		n := 0
		for hexAt(b, n) {
			n++
		}
		if n < len(b) && b[n] == '.' { // IPv4address, two groups and the end
			groups += 2
			return validIPv4(b) && groups <= all && gap == (groups < all)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		b = b[n:]
		if len(b) == 0 {
			return gap == (groups < all)
		}
		if b[0] != ':' || len(b) == 1 || groups == all {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
			if len(b) == 0 {
				return true
			}
		}
	}
}

// validIPv4 is four dec-octets: 0 to 255 without leading zeros.
func validIPv4(b []byte) bool {
	for i := range 4 {
		n, v := 0, 0
		for n < len(b) && octets[b[n]]&octDigit != 0 && n < 4 {
			v = v*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || v > 255 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
		if i == 3 {
			break
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return len(b) == 0
}
