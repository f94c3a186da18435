package httpcore

import (
	"mime"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// FileServer returns a handler that serves the files below the directory root:
// that of Files with this Root.
func FileServer(root string) fasthttp.RequestHandler { return (&Files{Root: root}).Handler() }

// Files serves the files below a directory: what fasthttp.FS does, but opened and
// read by the loop, without its having to wait for the disk, and without a
// goroutine for each request. The zero value of a field means its default. It must
// not be changed after Handler was called.
//
// GET and HEAD are served, others get 405. Answered are conditions (If-Match,
// If-Unmodified-Since, If-None-Match, If-Modified-Since and If-Range; RFC 9110
// section 13) and a Range of one part; several parts at once are answered by the
// whole file, as RFC 9110 section 14.2 allows. The type comes from the file name's
// extension, else from its first bytes. A directory is answered by its index, or
// 404; without a slash at its end by a redirect to where there is one.
//
// Of a file at most 128 KiB are in memory for each connection. From 128 KiB on it
// goes from the page cache to the socket (sendfile(2)), but not over TLS. When it
// becomes shorter while it is being sent, the connection is cut off. A file that is
// written to meanwhile, rather than replaced by another (rename(2)), may arrive
// partly old and partly new.
//
// The answer is made after the handler has returned: what wraps it can set fields
// of the response before and after, and cannot see its status or its body.
// Called with a RequestCtx of another server than ringcore's, and on systems
// other than Linux, the handler is fasthttp.FS.
type Files struct {
	// Root is the directory; required. It is looked up again now and then, so it
	// may be a symbolic link that is changed.
	Root string

	// IndexNames are the files that answer for a directory, in order of
	// preference; default index.html. An empty, non-nil list: none.
	IndexNames []string

	// AllowSymlinksOutsideRoot follows symbolic links to wherever they lead.
	// By default what is outside of Root cannot be reached, whatever is inside;
	// symbolic links within it are followed if they are relative (openat2(2),
	// RESOLVE_BENEATH; before Linux 5.6 no link is).
	AllowSymlinksOutsideRoot bool

	// Precompressed serves file.br, file.zst or file.gz in place of file to
	// clients that accept such a coding (RFC 9110 section 12.5.3), unless it is
	// older than file. They are never made.
	Precompressed bool

	// PathRewrite returns the path to serve, beginning with a slash; default:
	// ctx.Path(). See fasthttp.NewPathSlashesStripper.
	PathRewrite fasthttp.PathRewriteFunc

	// PathNotFound answers where there is no such file; default: a plain 404. It
	// may run on the loop and so must not wait, and starts from an empty response.
	PathNotFound fasthttp.RequestHandler

	// CacheDuration is how long an open file and what is known of it are kept for
	// other requests: a change may stay unnoticed that long. Default 1 s; negative:
	// they are not kept.
	CacheDuration time.Duration

	// MaxOpen is how many files each loop keeps open (with Precompressed each with
	// its variants), besides those being sent; default 256.
	MaxOpen int

	once  sync.Once
	plain fasthttp.RequestHandler // for other servers
}

const (
	defaultCacheDuration = time.Second
	defaultMaxOpen       = 256
)

// Handler returns the handler. It may be used by any number of servers.
func (f *Files) Handler() fasthttp.RequestHandler {
	f.once.Do(func() {
		if f.IndexNames == nil {
			f.IndexNames = []string{"index.html"}
		}
		if f.CacheDuration == 0 {
			f.CacheDuration = defaultCacheDuration
		}
		if f.MaxOpen <= 0 {
			f.MaxOpen = defaultMaxOpen
		}
		_ = mime.TypeByExtension(".html") // reads the system's tables, now rather than on a loop
		fs := fasthttp.FS{
			Root: f.Root, IndexNames: f.IndexNames, AllowSymlinksOutsideRoot: f.AllowSymlinksOutsideRoot,
			PathRewrite: f.PathRewrite, CacheDuration: max(f.CacheDuration, 0), SkipCache: f.CacheDuration < 0,
			AcceptByteRange: true, GenerateETag: true, PathNotFound: f.PathNotFound,
		}
		var plain fasthttp.RequestHandler
		var made sync.Once
		f.plain = func(ctx *fasthttp.RequestCtx) {
			made.Do(func() { plain = fs.NewRequestHandler() })
			plain(ctx)
		}
	})
	return f.handle
}

// notFound answers 404.
func (f *Files) notFound(ctx *fasthttp.RequestCtx) {
	if f.PathNotFound != nil {
		ctx.Response.Reset()
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		f.PathNotFound(ctx)
		return
	}
	ctx.Error(fasthttp.StatusMessage(fasthttp.StatusNotFound), fasthttp.StatusNotFound)
}

func (f *Files) handle(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Error(fasthttp.StatusMessage(fasthttp.StatusMethodNotAllowed), fasthttp.StatusMethodNotAllowed)
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		return
	}
	if !f.serve(ctx) {
		f.plain(ctx)
	}
}
