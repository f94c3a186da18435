package httpcore

// guardTrailerLine checks a field line of a trailer section, which still ends
// with CR (RFC 9112 sections 5 and 7.1.2).
func guardTrailerLine(line []byte) *refusal {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return errBareLF
	}
	line = line[:len(line)-1]
	n := tokenLen(line)
	if n == 0 || n == len(line) || line[n] != ':' { // obs-fold begins with white space
		return errTrailerLine
	}
	for _, c := range line[n+1:] {
		if octets[c]&octField == 0 {
			return errTrailerLine
		}
	}
	if forbiddenTrailer(line[:n]) {
		return errTrailerName
	}
	return nil
}

// forbiddenTrailer tells whether a trailer section may not hold this field,
// as it frames or routes the message, authenticates the sender, or says how to
// process the content (RFC 9110 section 6.5.1). RFC 9110 leaves the choice
// between ignoring and refusing such a field; fasthttp refuses these, and so
// do we.
func forbiddenTrailer(name []byte) bool {
	var buf [32]byte // longer than any name below
	if len(name) > len(buf) {
		name = name[:len(buf)]
	}
	for i, c := range name {
		buf[i] = lowerASCII(c)
	}
	lower := buf[:len(name)]
	switch string(lower) {
	case "connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding",
		"authorization", "cookie", "proxy-authenticate", "proxy-authorization", "proxy-connection",
		"set-cookie", "www-authenticate",
		"content-encoding", "content-range", "content-type",
		"expect", "location", "max-forwards", "range":
		return true
	}
	// What proxies say about the client, with whatever follows.
	const forwarded, realIP = "x-forwarded", "x-real-ip"
	return len(lower) >= len(forwarded) && string(lower[:len(forwarded)]) == forwarded ||
		len(lower) >= len(realIP) && string(lower[:len(realIP)]) == realIP
}
