package gen

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Request is a kind of request in a mix, and what its response has to be.
type Request struct {
	// Method is a token of RFC 9110; default GET.
	Method string
	// Path is the request's target as it goes on the wire, with its query;
	// default /.
	Path string
	// Header holds further fields, "Name: value" each, in order. Host and
	// Content-Length are made, unless they are given here.
	Header []string
	// Body is sent with a Content-Length; nil: none.
	Body []byte
	// Weight is this kind's share in the mix, 1 to 1,000,000; default 1.
	Weight int

	// Status is the response's wanted status; default 0: any 2xx or 3xx.
	Status int
	// Length is the wanted length of its body in octets; default nil: any.
	Length *int64
	// SHA256 is the wanted SHA-256 of its body, 64 hex digits; default "": any.
	SHA256 string
}

const (
	maxWeight  = 1_000_000
	maxRequest = 64 << 20 // octets
)

// name is what a report calls this kind.
func (r *Request) name() string { return r.method() + " " + r.path() }

func (r *Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (r *Request) path() string {
	if r.Path == "" {
		return "/"
	}
	return r.Path
}

// render returns the request as it goes on the wire.
func (r *Request) render(host string, closing bool) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("request %.60q: %w", r.name(), err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method(), r.path())
	if !r.has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, line := range r.Header {
		name, value, _ := strings.Cut(line, ":")
		fmt.Fprintf(&b, "%s: %s\r\n", name, strings.TrimSpace(value))
	}
	if !r.has("Content-Length") && !r.has("Transfer-Encoding") && (r.Body != nil || r.method() == "POST" || r.method() == "PUT") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	if closing && !r.has("Connection") {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return append([]byte(b.String()), r.Body...), nil
}

func (r *Request) has(name string) bool {
	for _, line := range r.Header {
		if n, _, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// check refuses what would not be the one request that it looks like.
func (r *Request) check() error {
	switch {
	case !isToken(r.method()):
		return fmt.Errorf("method %q is no token", r.method())
	case r.method() == http.MethodConnect:
		return fmt.Errorf("CONNECT makes a tunnel, which is no load")
	case strings.IndexFunc(r.path(), func(c rune) bool { return c <= ' ' || c >= 0x7f }) >= 0:
		return fmt.Errorf("path %q has octets that have to be percent-encoded", r.path())
	case r.path()[0] != '/' && r.path() != "*":
		return fmt.Errorf("path %q does not begin with /", r.path())
	case r.Weight < 0 || r.Weight > maxWeight:
		return fmt.Errorf("weight %d, want 1 to %d", r.Weight, maxWeight)
	case r.Status != 0 && (r.Status < 200 || r.Status > 599):
		return fmt.Errorf("status %d, want 200 to 599", r.Status)
	case r.Length != nil && *r.Length < 0:
		return fmt.Errorf("length %d, want 0 or more", *r.Length)
	case len(r.Body) > maxRequest:
		return fmt.Errorf("body of %d octets, want at most %d", len(r.Body), maxRequest)
	}
	for _, line := range r.Header {
		name, _, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || strings.ContainsAny(line, "\r\n\x00") {
			return fmt.Errorf("header %q: want NAME: VALUE", line)
		}
	}
	if r.SHA256 != "" {
		if sum, err := hex.DecodeString(r.SHA256); err != nil || len(sum) != 32 {
			return fmt.Errorf("SHA-256 %q: want 64 hex digits", r.SHA256)
		}
	}
	if r.has("Content-Length") {
		for _, line := range r.Header {
			name, value, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, "Content-Length") && strings.TrimSpace(value) != strconv.Itoa(len(r.Body)) {
				return fmt.Errorf("Content-Length is not the body's %d octets", len(r.Body))
			}
		}
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChar[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenChar = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'a' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// sequence returns the order of the kinds, by their number: a cycle in which
// each comes as often as its weight says, spread evenly (smooth weighted
// round robin). Weights that make too long a cycle are rounded.
func sequence(requests []Request) []uint16 {
	const longest = 1 << 16
	weights, total := make([]int, len(requests)), 0
	for i := range requests {
		weights[i] = max(requests[i].Weight, 1)
		total += weights[i]
	}
	if d := gcd(weights); d > 1 {
		total /= d
		for i := range weights {
			weights[i] /= d
		}
	}
	if total > longest {
		scaled := 0
		for i := range weights {
			weights[i] = max(weights[i]*longest/total, 1)
			scaled += weights[i]
		}
		total = scaled
	}
	cycle, credit := make([]uint16, total), make([]int, len(weights))
	for n := range cycle {
		best := 0
		for i, w := range weights {
			if credit[i] += w; credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		cycle[n] = uint16(best)
	}
	return cycle
}

func gcd(list []int) int {
	d := 0
	for _, n := range list {
		for n != 0 {
			d, n = n, d%n
		}
	}
	return d
}
