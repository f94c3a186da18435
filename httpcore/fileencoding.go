package httpcore

import "bytes"

// coding is a content coding of a file's variant, in the server's order of
// preference. codingNone is the file itself.
type coding uint8

const (
	codingNone coding = iota
	codingBrotli
	codingZstd
	codingGzip
	codingCount
)

var codingNames = [codingCount]string{"identity", "br", "zstd", "gzip"}

var codingSuffixes = [codingCount]string{"", ".br", ".zst", ".gz"}

// codingChoice is what a client accepts: the codings, best first, ended by
// codingNone.
type codingChoice [codingCount]coding

// quality is a weight in thousandths (RFC 9110 section 12.4.2); unsaid is what was
// not said.
const unsaid = -1

// chooseCodings reads an Accept-Encoding field (RFC 9110 section 12.5.3). What the
// client likes less than the file itself is left out.
func chooseCodings(field []byte) (choice codingChoice) {
	weights := [codingCount]int{unsaid, unsaid, unsaid, unsaid}
	star := unsaid
	for len(field) > 0 {
		var item []byte
		item, field, _ = bytes.Cut(field, []byte(","))
		name, params, _ := bytes.Cut(item, []byte(";"))
		name = bytes.Trim(name, " \t")
		q, ok := parseQuality(params)
		if !ok {
			continue
		}
		if string(name) == "*" {
			star = q
			continue
		}
		for c := range weights {
			if bytes.EqualFold(name, []byte(codingNames[c])) || coding(c) == codingGzip && bytes.EqualFold(name, []byte("x-gzip")) {
				weights[c] = q
			}
		}
	}
	floor := max(weights[codingNone], 1)
	n := 0
	for c := codingBrotli; c < codingCount; c++ {
		if weights[c] == unsaid {
			weights[c] = star
		}
		if weights[c] < floor {
			continue
		}
		at := n
		for ; at > 0 && weights[choice[at-1]] < weights[c]; at-- {
			choice[at] = choice[at-1]
		}
		choice[at] = c
		n++
	}
	return choice
}

// parseQuality reads the parameters behind a coding: nothing, or q with at most
// three decimals.
func parseQuality(params []byte) (q int, ok bool) {
	params = bytes.Trim(params, " \t")
	if len(params) == 0 {
		return 1000, true
	}
	name, value, found := bytes.Cut(params, []byte("="))
	if !found || !bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("q")) {
		return 0, false
	}
	value = bytes.TrimLeft(value, " \t")
	if len(value) == 0 || len(value) > 5 || value[0] != '0' && value[0] != '1' || len(value) > 1 && value[1] != '.' {
		return 0, false
	}
	q = int(value[0]-'0') * 1000
	for i, scale := 2, 100; i < len(value); i, scale = i+1, scale/10 {
		if value[i] < '0' || value[i] > '9' {
			return 0, false
		}
		q += int(value[i]-'0') * scale
	}
	return q, q <= 1000
}
