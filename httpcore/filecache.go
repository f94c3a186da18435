//go:build linux

package httpcore

import (
	"bytes"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// fileCache holds the open files of one Files on one loop. It belongs to the
// loop's goroutine.
type fileCache struct {
	files *Files
	p     *protocol

	root   *conn.File // nil: not opened yet
	rootAt int64      // when it was

	entries        map[string]*fileEntry
	oldest, newest *fileEntry
	count          int
	tidying        bool // the timer that closes what is too old is armed
	tidy           conn.Task
}

// fileEntry is what is known of a path: the file itself and its variants. Those
// who want it wait while something is being found out.
type fileEntry struct {
	path string
	at   int64 // when it was begun
	kept bool  // it is in the cache

	busy    bool
	users   int       // who looks at it just now
	waiters *exchange // newest first

	err       error // why there is no such file
	directory bool
	ctype     string
	variants  [codingCount]variant

	prev, next *fileEntry
}

// variant is a file in a coding.
type variant struct {
	known    bool       // it has been looked for
	file     *conn.File // nil: there is none
	etag     []byte
	modified []byte // Last-Modified
	modTime  time.Time
}

// fileCache returns the loop's cache for f.
func (p *protocol) fileCache(f *Files) *fileCache {
	for _, c := range p.files {
		if c.files == f {
			return c
		}
	}
	c := &fileCache{files: f, p: p, entries: make(map[string]*fileEntry)}
	c.tidy.Run = func(*conn.Loop) {
		c.tidying = false
		c.expire()
	}
	p.files = append(p.files, c)
	return c
}

// entry returns the entry for the path that x is at: a new one if none is fresh.
func (c *fileCache) entry(x *exchange) *fileEntry {
	key := x.file.path
	if n := len(key); n == 0 || key[n-1] == '/' {
		if names := c.files.IndexNames; x.file.index < len(names) {
			key = append(key, names[x.file.index]...)
			x.file.path = key[:n] // and its room
		}
	}
	e := c.entries[string(key)]
	now := c.p.loop.Now()
	if e != nil && now-e.at < int64(c.files.CacheDuration) {
		return e
	}
	if e != nil {
		c.drop(e)
	}
	e = &fileEntry{path: string(key), at: now}
	if c.files.CacheDuration > 0 {
		if c.count >= c.files.MaxOpen {
			c.drop(c.oldest)
		}
		c.keep(e)
	}
	return e
}

func (c *fileCache) keep(e *fileEntry) {
	e.kept = true
	c.entries[e.path] = e
	c.count++
	if e.prev = c.newest; e.prev != nil {
		e.prev.next = e
	} else {
		c.oldest = e
	}
	c.newest = e
	c.scheduleTidy()
}

// drop takes e out of the cache. Who waits for it or sends it goes on.
func (c *fileCache) drop(e *fileEntry) {
	if !e.kept {
		return
	}
	e.kept = false
	delete(c.entries, e.path)
	c.count--
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		c.oldest = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		c.newest = e.prev
	}
	e.prev, e.next = nil, nil
	c.discard(e)
}

// discard closes the files of an entry that nobody needs any more.
func (c *fileCache) discard(e *fileEntry) {
	if e.kept || e.busy || e.users > 0 {
		return
	}
	for i := range e.variants {
		if f := e.variants[i].file; f != nil {
			f.Release()
		}
		e.variants[i] = variant{}
	}
}

// scheduleTidy has what is too old closed even if nobody asks for it: a file that
// was removed takes room on the disk while it is open. A cache that is empty has
// no timer.
func (c *fileCache) scheduleTidy() {
	if c.tidying {
		return
	}
	c.tidying = true
	loop := c.p.loop
	time.AfterFunc(c.files.CacheDuration, func() { loop.Post(&c.tidy) })
}

func (c *fileCache) expire() {
	now := c.p.loop.Now()
	for e := c.oldest; e != nil && now-e.at >= int64(c.files.CacheDuration); e = c.oldest {
		c.drop(e)
	}
	if c.oldest != nil {
		c.scheduleTidy()
	} else if c.root != nil {
		c.root.Release()
		c.root = nil
	}
}

// look has something found out about e, on the disk. The function that it returns
// is to be called when that is done.
func (c *fileCache) look(e *fileEntry) (done func()) {
	e.busy = true
	return func() {
		e.busy = false
		e.users++
		x := e.waiters
		e.waiters = nil
		var first *exchange // oldest
		for x != nil {
			next := x.file.waiter
			x.file.waiter, first = first, x
			x = next
		}
		for x = first; x != nil; {
			next := x.file.waiter
			x.file.waiter = nil
			c.p.fileReady(x)
			x = next
		}
		e.users--
		c.discard(e)
	}
}

// open opens what is missing of e in the coding k.
func (c *fileCache) open(e *fileEntry, k coding) {
	done := c.look(e)
	now := c.p.loop.Now()
	if c.root == nil || now-c.rootAt >= int64(c.files.CacheDuration) {
		c.p.loop.OpenFile(nil, c.files.Root, false, func(root *conn.File, err error) {
			if err != nil {
				e.err = err
				c.drop(e)
				done()
				return
			}
			if c.root != nil {
				c.root.Release()
			}
			c.root, c.rootAt = root, now
			c.openBelow(root, e, k, done)
		})
		return
	}
	c.openBelow(c.root, e, k, done)
}

func (c *fileCache) openBelow(root *conn.File, e *fileEntry, k coding, done func()) {
	name := e.path + codingSuffixes[k]
	if name == "" {
		name = "."
	}
	c.p.loop.OpenFile(root, name, !c.files.AllowSymlinksOutsideRoot, func(f *conn.File, err error) {
		v := &e.variants[k]
		v.known = true
		switch {
		case err == nil && f.Mode().IsRegular() && (k == codingNone || !f.ModTime().Before(e.variants[codingNone].modTime)):
			v.set(f, k)
			if k == codingNone {
				c.examine(e, f, done)
				return
			}
		case k != codingNone: // of a variant it does not matter why
		case err != nil:
			e.err = err
		case f.Mode().IsDir():
			e.directory = true
		default:
			e.err = fs.ErrNotExist
		}
		if f != nil && v.file == nil {
			f.Release()
		}
		if e.err != nil {
			c.drop(e)
		}
		done()
	})
}

func (v *variant) set(f *conn.File, k coding) {
	v.file, v.modTime = f, f.ModTime()
	tag := strconv.AppendInt([]byte{'"'}, v.modTime.UnixNano(), 36)
	tag = strconv.AppendInt(append(tag, '-'), f.Size(), 36)
	if k != codingNone { // another representation, another tag (RFC 9110 section 8.8.3)
		tag = append(append(tag, '-'), codingNames[k]...)
	}
	tag = append(tag, '"')
	v.etag = tag
	v.modified = v.modTime.UTC().AppendFormat(nil, http.TimeFormat)
}

// sniffed is how much of a file tells its type (mimesniff.spec.whatwg.org).
const sniffed = 512

// examine finds out the type of e, whose file is f.
func (c *fileCache) examine(e *fileEntry, f *conn.File, done func()) {
	if e.ctype = mime.TypeByExtension(path.Ext(e.path)); e.ctype != "" {
		done()
		return
	}
	c.p.loop.ReadFile(f, sniffed, func(p []byte, err error) {
		if e.ctype = "application/octet-stream"; err == nil {
			e.ctype = http.DetectContentType(bytes.Clone(p))
		}
		done()
	})
}

// advance answers x with e: done says that the response is complete but for its
// body, else x is at another path now. It is not ok if x has to wait.
func (c *fileCache) advance(e *fileEntry, x *exchange) (done, ok bool) {
	e.users++
	done, ok = c.step(e, x)
	e.users--
	c.discard(e)
	return done, ok
}

func (c *fileCache) step(e *fileEntry, x *exchange) (done, ok bool) {
	switch {
	case e.err != nil:
		if e.kept {
			c.drop(e)
		}
		return c.missing(e, x), true
	case e.directory:
		return c.atDirectory(x), true
	case !e.busy && !e.variants[codingNone].known:
		c.open(e, codingNone)
	case !e.busy:
		k, known := c.choose(e, x)
		if known {
			c.answer(e, k, x)
			return true, true
		}
		c.open(e, k)
	}
	if !e.busy { // it was quick
		return c.step(e, x)
	}
	x.file.waiter, e.waiters = e.waiters, x
	return false, false
}

// choose returns the coding to answer x in; it is not known when that has to be
// looked for first.
func (c *fileCache) choose(e *fileEntry, x *exchange) (k coding, known bool) {
	if !c.files.Precompressed {
		return codingNone, true
	}
	for _, k := range chooseCodings(acceptEncoding(x)) {
		if k == codingNone {
			break
		}
		if v := &e.variants[k]; !v.known {
			return k, false
		} else if v.file != nil {
			return k, true
		}
	}
	return codingNone, true
}

// missing answers x for which there is no file, unless another index may do.
func (c *fileCache) missing(e *fileEntry, x *exchange) (done bool) {
	if e.path != string(x.file.path) { // an index file
		if x.file.index++; x.file.index < len(c.files.IndexNames) {
			return false
		}
	}
	c.fail(x, e.err)
	return true
}

func (c *fileCache) fail(x *exchange, err error) {
	status := http.StatusInternalServerError
	for _, known := range []struct {
		err    error
		status int
	}{
		{fs.ErrNotExist, http.StatusNotFound},
		{syscall.ENOTDIR, http.StatusNotFound},
		{syscall.ENAMETOOLONG, http.StatusNotFound},
		{syscall.EXDEV, http.StatusNotFound},
		{syscall.ELOOP, http.StatusNotFound},
		{fs.ErrPermission, http.StatusForbidden},
		{syscall.EMFILE, http.StatusServiceUnavailable},
		{syscall.ENFILE, http.StatusServiceUnavailable},
		{syscall.ENOMEM, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, known.err) {
			status = known.status
			break
		}
	}
	if status >= http.StatusInternalServerError {
		c.p.cfg.logger.Printf("httpcore: file for %s %s: %v", x.ctx.Method(), x.ctx.RequestURI(), err)
	}
	if status == http.StatusServiceUnavailable { // give back what others may need
		for c.oldest != nil {
			c.drop(c.oldest)
		}
	}
	if status == http.StatusNotFound {
		c.notFound(x)
		return
	}
	x.ctx.Error(http.StatusText(status), status)
}

// notFound answers 404, and survives a panic of the user's code.
func (c *fileCache) notFound(x *exchange) {
	defer func() {
		if r := recover(); r != nil {
			c.p.cfg.logger.Printf("httpcore: panic in PathNotFound for %s %s: %v\n%s",
				x.ctx.Method(), x.ctx.RequestURI(), r, debug.Stack())
			x.serverError()
		}
	}()
	c.files.notFound(&x.ctx)
}
