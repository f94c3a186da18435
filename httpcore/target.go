package httpcore

import "bytes"

// guardRequestLine checks method SP request-target SP HTTP-version (RFC 9112
// section 3) and answers whether the request counts as HTTP/1.1. It overwrites
// a minor version above 1 with 1.
func guardRequestLine(line []byte) (http11 bool, r *refusal) {
	m := tokenLen(line) // method = token (RFC 9112 section 3.1)
	if m == 0 || m == len(line) || line[m] != ' ' {
		return false, errMethod
	}
	// Exactly one SP on each side: section 3 allows leniency about white
	// space, at the risk of request smuggling, and does not ask for it.
	const version = len(" HTTP/1.1")
	v := len(line) - version
	if v <= m+1 || line[v] != ' ' {
		return false, errRequestLine
	}
	target := line[m+1 : v]
	if bytes.IndexByte(target, ' ') >= 0 || bytes.IndexByte(target, '\t') >= 0 {
		return false, errRequestLine
	}
	switch name := line[v+1:]; {
	case string(name) == "HTTP/1.1":
		http11 = true
	case string(name[:5]) != "HTTP/" || octets[name[5]]&octDigit == 0 || name[6] != '.' || octets[name[7]]&octDigit == 0:
		return false, errVersion // section 2.3: case-sensitive, DIGIT "." DIGIT
	case name[5] != '1':
		return false, errMajorVersion // RFC 9110 section 15.6.6
	case name[7] != '0':
		name[7] = '1' // RFC 9110 section 2.5: process as the highest minor we know
		http11 = true
	}
	return http11, guardTarget(line[:m], target)
}

// guardTarget checks which form of request-target a method may have (RFC 9112
// section 3.2) and the authority in it. Octets that RFC 3986 does not allow in
// a path or query pass, obs-text among them, as clients send them and other
// servers take them; a fragment never belongs in a request (section 3.2).
func guardTarget(method, target []byte) *refusal {
	if string(method) == "CONNECT" { // authority-form, and no other (section 3.2.3)
		host, port, ok := splitAuthority(target)
		// RFC 9110 section 9.3.6: refuse an empty or invalid port.
		if !ok || len(host) == 0 || !validPort(port) {
			return errTargetAuthority
		}
		return nil
	}
	if target[0] == '/' { // origin-form (section 3.2.1)
		if bytes.IndexByte(target, '#') >= 0 {
			return errTarget
		}
		return nil
	}
	if len(target) == 1 && target[0] == '*' { // asterisk-form (section 3.2.4)
		if string(method) != "OPTIONS" {
			return errTarget
		}
		return nil
	}
	// absolute-form (section 3.2.2): scheme "://" authority and the rest.
	colon := bytes.IndexByte(target, ':')
	if colon <= 0 || !validScheme(target[:colon]) ||
		len(target) < colon+3 || target[colon+1] != '/' || target[colon+2] != '/' {
		return errTarget
	}
	authority := target[colon+3:]
	if i := bytes.IndexAny(authority, "/?#"); i >= 0 {
		if bytes.IndexByte(authority[i:], '#') >= 0 {
			return errTarget
		}
		authority = authority[:i]
	}
	// RFC 9110 section 4.2.4: userinfo is an error; it is outside the grammar
	// of validHost.
	if !validHost(authority) {
		return errTargetAuthority
	}
	return nil
}

// validScheme is ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ): RFC 3986 section 3.1.
func validScheme(b []byte) bool {
	for i, c := range b {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || octets[c]&octDigit == 0 && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(b) > 0
}

// validPort is a port that a connection could go to: 1 to 65535.
func validPort(digits []byte) bool {
	n, ok := parseContentLength(digits)
	return ok && 0 < n && n <= 65535
}
