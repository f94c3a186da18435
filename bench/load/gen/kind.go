package gen

import (
	"bytes"
	"encoding/hex"
	"hash"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// kind is a kind of request as a worker sends it, and what came of it.
type kind struct {
	wire     []byte
	head     bool // its response has no body
	status   int  // wanted, 0: any 2xx or 3xx
	length   int64
	sum      []byte
	template template

	requests int64 // answered, and the answer was right
	latency  recorder
}

func newKind(r *Request, host string, closing bool, longest int64) (kind, error) {
	wire, err := r.render(host, closing)
	if err != nil {
		return kind{}, err
	}
	k := kind{wire: wire, head: r.method() == "HEAD", status: r.Status, length: -1, latency: newRecorder(longest)}
	if r.Length != nil {
		k.length = *r.Length
	}
	if r.SHA256 != "" {
		k.sum, _ = hex.DecodeString(r.SHA256) // checked by render
	}
	return k, nil
}

// check returns what is wrong with a whole response, errNone for nothing.
func (k *kind) check(p *parser, digest []byte) errorKind {
	switch {
	case k.status != 0 && p.status != k.status, k.status == 0 && p.status >= 400:
		return errStatus
	case k.length >= 0 && p.length != k.length:
		return errBodyLength
	case k.sum != nil && !bytes.Equal(digestOf(p.hash, digest), k.sum):
		return errBodyHash
	}
	return errNone
}

// digestOf returns h's sum in the memory of buf.
func digestOf(h hash.Hash, buf []byte) []byte { return h.Sum(buf[:0]) }

// errorKind is what can go wrong with a request; the documentation of the
// package explains the names.
type errorKind uint8

const (
	errNone errorKind = iota
	errRefused
	errConnect
	errReset
	errClosed
	errTimeout
	errProtocol
	errStatus
	errBodyLength
	errBodyHash
	errorKinds
)

var errorNames = [errorKinds]string{"", "refused", "connect", "reset", "closed", "timeout", "protocol", "status", "length", "hash"}

// recorder is a histogram of latencies in ns. Values that repeat, as those of
// a batch do, are put into it together.
type recorder struct {
	h       *hdrhistogram.Histogram
	last, n int64
	longest int64
}

func newRecorder(longest int64) recorder {
	return recorder{h: hdrhistogram.New(1, longest, 3), longest: longest}
}

func (r *recorder) record(ns int64) { r.recordN(ns, 1) }

func (r *recorder) recordN(ns, n int64) {
	if ns != r.last {
		r.flush()
		r.last = ns
	}
	r.n += n
}

func (r *recorder) flush() {
	if r.n > 0 {
		_ = r.h.RecordValues(min(max(r.last, 0), r.longest), r.n) // within its bounds
		r.n = 0
	}
}

func (r *recorder) reset() {
	r.n = 0
	r.h.Reset()
}

// latencyOf sums a histogram up.
func latencyOf(h *hdrhistogram.Histogram) Latency {
	n := h.TotalCount()
	if n == 0 {
		return Latency{}
	}
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	p := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	return Latency{
		Count: n, Min: us(h.Min()), Mean: h.Mean() / 1e3, StdDev: h.StdDev() / 1e3,
		P50: us(p[0]), P90: us(p[1]), P99: us(p[2]), P999: us(p[3]), Max: us(h.Max()),
	}
}

func curveOf(h *hdrhistogram.Histogram) (points []Point) {
	for _, b := range h.CumulativeDistribution() {
		points = append(points, Point{Quantile: b.Quantile / 100, Us: float64(b.ValueAt) / 1e3, Count: b.Count})
	}
	return points
}
