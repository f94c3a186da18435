package httpcore

import (
	"fmt"
	"strings"
	"testing"
)

func TestMatchesTag(t *testing.T) {
	for _, c := range []struct {
		list         string
		weak, strong bool
	}{
		{`"a"`, true, true},
		{`W/"a"`, true, false},
		{`"b", "a"`, true, true},
		{`"b" , W/"a"`, true, false},
		{`*`, true, true},
		{`"b"`, false, false},
		{`a`, false, false},
		{`"a`, false, false},
		{`"b,"a"`, false, false},
		{``, false, false},
		{`W/`, false, false},
	} {
		if weak, strong := matchesTag([]byte(c.list), []byte(`"a"`), true), matchesTag([]byte(c.list), []byte(`"a"`), false); weak != c.weak || strong != c.strong {
			t.Errorf("%s: %v and %v, want %v and %v", c.list, weak, strong, c.weak, c.strong)
		}
	}
}

// FuzzRange: whatever a client sends, a range lies within the file, and one that
// was written in good order is found again.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=0-1,2-3", "bytes=-", "BYTES= 1-2 ", "bytes=99999999999999999999-"} {
		f.Add([]byte(s), int64(10), int64(3), int64(4))
	}
	f.Fuzz(func(t *testing.T, field []byte, size, first, n int64) {
		if size < 0 {
			return
		}
		r, verdict := parseRange(field, size)
		if verdict == rangeGood && (r.first < 0 || r.n < 1 || r.first > size-r.n) {
			t.Errorf("%q of %d: %+v", field, size, r)
		}
		if first < 0 || n < 1 || first > size-n {
			return
		}
		want := byteRange{first, n}
		for _, s := range []string{
			fmt.Sprintf("bytes=%d-%d", first, first+n-1),
			fmt.Sprintf("bytes=%d-", size-n),
			fmt.Sprintf("bytes=-%d", n),
		} {
			if r, verdict := parseRange([]byte(s), size); verdict != rangeGood || r != want {
				t.Errorf("%s of %d: %+v, verdict %d, want %+v", s, size, r, verdict, want)
			}
			want = byteRange{size - n, n}
		}
	})
}

// FuzzAcceptEncoding: each coding is chosen at most once, none that was refused,
// and what is added behind changes nothing about the rest.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"gzip", "br;q=0.5, gzip;q=1.000", "*;q=0", "identity;q=0, *", "gzip;q=2", "gzip;Q=0.001;x", ",,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		var seen [codingCount]bool
		choice := chooseCodings(field)
		for i, c := range choice {
			if c == codingNone {
				for _, rest := range choice[i:] {
					if rest != codingNone {
						t.Errorf("%q: %v goes on behind its end", field, choice)
					}
				}
				break
			}
			if c >= codingCount || seen[c] {
				t.Errorf("%q: %v", field, choice)
			}
			seen[c] = true
			refused := append(append([]byte{}, field...), ","+codingNames[c]+";q=0"...)
			for _, other := range chooseCodings(refused) {
				if other == c {
					t.Errorf("%q: %s is chosen", refused, codingNames[c])
				}
			}
		}
		if strings.Trim(string(field), " ,\t") == "" && choice[0] != codingNone {
			t.Errorf("%q: %v", field, choice)
		}
	})
}
