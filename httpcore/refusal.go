package httpcore

import "errors"

// A refusal says why a request's framing is refused, and with which status.
// Refusals are sentinels: compare them with ==. After each of them the
// connection closes, for nobody knows where the next request would begin.
type refusal struct {
	status int // 400, 413, 417, 431, 501 or 505
	text   string
}

func (r *refusal) Error() string { return r.text }

// refusalStatus is the status code that answers err: that of a refusal, else 400.
func refusalStatus(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 400
}

// Where a head ends (scan.go).
var (
	errControlOctet   = &refusal{400, "httpcore: control octet in the request head"}
	errBareLF         = &refusal{400, "httpcore: LF without CR before it"}
	errBareCR         = &refusal{400, "httpcore: CR without LF after it"}
	errNotARequest    = &refusal{400, "httpcore: the first octet begins no method"}
	errEmptyLines     = &refusal{400, "httpcore: too many empty lines before the request"}
	errObsFold        = &refusal{400, "httpcore: field line begins with white space (obs-fold)"}
	errHeadIncomplete = &refusal{400, "httpcore: request head without an end"}
)

// What a head says (guard.go, target.go).
var (
	errRequestLine      = &refusal{400, "httpcore: malformed request line"}
	errMethod           = &refusal{400, "httpcore: method is no token"}
	errTarget           = &refusal{400, "httpcore: malformed request target"}
	errTargetAuthority  = &refusal{400, "httpcore: malformed authority in the request target"}
	errVersion          = &refusal{400, "httpcore: malformed HTTP version"}
	errMajorVersion     = &refusal{505, "httpcore: HTTP major version other than 1"}
	errFieldLine        = &refusal{400, "httpcore: malformed field line"}
	errHostMissing      = &refusal{400, "httpcore: HTTP/1.1 request without Host"}
	errHostTwice        = &refusal{400, "httpcore: more than one Host field"}
	errHost             = &refusal{400, "httpcore: malformed Host"}
	errContentLength    = &refusal{400, "httpcore: malformed Content-Length"}
	errLengthTwice      = &refusal{400, "httpcore: more than one Content-Length field"}
	errLengthAndCoding  = &refusal{400, "httpcore: both Content-Length and Transfer-Encoding"}
	errCodingInHTTP10   = &refusal{400, "httpcore: Transfer-Encoding in an HTTP/1.0 request"}
	errTransferEncoding = &refusal{400, "httpcore: Transfer-Encoding is not exactly chunked"}
	errUnknownCoding    = &refusal{501, "httpcore: unknown transfer coding"}
	errExpectation      = &refusal{417, "httpcore: unknown expectation"}
	errTrailerField     = &refusal{400, "httpcore: Trailer announces a forbidden field"}
)

// What a chunked body says (chunked.go).
var (
	errChunkSize       = &refusal{400, "httpcore: malformed chunk size"}
	errChunkSizeRange  = &refusal{400, "httpcore: chunk size out of range"}
	errChunkExt        = &refusal{400, "httpcore: malformed chunk extension"}
	errChunkExtTooLong = &refusal{400, "httpcore: chunk extensions out of proportion"}
	errChunkEnd        = &refusal{400, "httpcore: chunk does not end with CRLF"}
	errChunkedTooLarge = &refusal{413, "httpcore: chunked body over the limit"}
	errTrailerLine     = &refusal{400, "httpcore: malformed trailer field"}
	errTrailerName     = &refusal{400, "httpcore: field not allowed in a trailer section"}
	errTrailerTooLarge = &refusal{431, "httpcore: trailer section over the limit"}
)
