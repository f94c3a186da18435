package httpcore

import (
	"net/netip"
	"strings"
	"testing"
)

func TestValidHost(t *testing.T) {
	valid := []string{
		// reg-name: RFC 3986 section 3.2.2
		"a", "example.com", "EXAMPLE.com", "a-b_c.d~e", "a!$&'()*+,;=b", "%41%fF", "b%C3%BCcher.example", "xn--bcher-kva.example", ".", "-",
		// port = *DIGIT: section 3.2.3
		"a:80", "a:", "a:0", "a:00080", "a:99999999",
		// IPv4address, or by the "first-match-wins" rule a reg-name
		"127.0.0.1", "127.0.0.1:8080", "999.1.2.3", "1.2.3",
		// IP-literal
		"[::]", "[::1]", "[::1]:80", "[::1]:", "[1:2:3:4:5:6:7:8]", "[1::8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]",
		"[::ffff:192.0.2.1]", "[1:2:3:4:5:6:192.0.2.1]", "[ABCD:ef01::]", "[v1.a:b]", "[vF0.~!:]", "[V1.a]",
	}
	invalid := []string{
		"", ":", ":80", "[]", "[", "]", "a]", "[::1", "::1", "[::1]x", "[::1]80", "[[::1]]",
		"1:2:3", "a:b", "a:8 0", "a:-1", "a:+80", "a:80:80", "a::80",
		"user@a", "user:pw@a", "@", "a@", "a/b", "a?b", "a#b", "a b", "a\tb", "a\"b", "<a>", "a<b", "a\\b", "a^b", "a`b", "a{b}", "a|b",
		"b\xc3\xbccher.example", "a%", "a%4", "a%4g", "%zz", "a%25%", "http://a", "a\x00",
		"[:::]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[::1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8::]", "[12345::]", "[g::]", "[:1]", "[1:]",
		"[::1%25en0]", "[fe80::1%en0]", "[1.2.3.4]", "[::1.2.3]", "[::1.2.3.4.5]", "[::01.2.3.4]", "[::256.2.3.4]", "[::1.2.3.4:1]", "[1:2:3:4:5:6:7:1.2.3.4]",
		"[v.a]", "[v1.]", "[v1]", "[vg.a]", "[v1.a/b]", "[v1.[]", "[ ::1]",
	}
	for _, h := range valid {
		if !validHost([]byte(h)) {
			t.Errorf("%q refused", h)
		}
	}
	for _, h := range invalid {
		if validHost([]byte(h)) {
			t.Errorf("%q accepted", h)
		}
	}
}

// Octets of a reg-name, one by one, against the lists of RFC 3986.
func TestRegNameOctets(t *testing.T) {
	const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	const subDelims = "!$&'()*+,;="
	for c := range 256 {
		want := strings.IndexByte(unreserved+subDelims, byte(c)) >= 0 || c == ':' // "a:" has an empty port
		if got := validHost([]byte{'a', byte(c)}); got != want {
			t.Errorf("octet %#x: %v, want %v", c, got, want)
		}
	}
}

// The grammar of IPv6address is also that of netip without zones.
func FuzzIPv6(f *testing.F) {
	for _, s := range []string{"::", "1::", "::1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1::2::3", ":1", "::00001", "1:2:3:4:5:6:1.2.3.04"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		want := err == nil && a.Is6() && a.Zone() == "" && !strings.Contains(s, "%")
		if got := validIPv6([]byte(s)); got != want {
			t.Errorf("%q: %v, netip says %v", s, got, want)
		}
	})
}
