//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/scripts/seccomp"
)

// profileVariable has a profiled server's specification, as JSON.
const profileVariable = "RINGCORE_TEST_PROFILE"

// profiled is a server in a process of its own that has all paths: TCP, TLS, a
// unix socket, files, folders, uploads, streams, hijacked connections, slow
// handlers, connections to others, and what handlers do themselves.
type profiled struct {
	Folder   string // has the file, and takes the unix socket
	Driver   string
	Dispatch string
	Profile  bool // it puts the profile into force and executes itself

	server  *Server // the child's
	peer    string  // the address that it dials, which is its own
	folders fasthttp.RequestHandler
}

// A child never gets as far as the tests, so that it makes no system calls but
// a server's.
func init() {
	spec := os.Getenv(profileVariable)
	if spec == "" {
		return
	}
	var p profiled
	err := json.Unmarshal([]byte(spec), &p)
	if err == nil && p.Profile {
		err = p.execute()
	} else if err == nil {
		err = p.live()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// spec is the value of profileVariable for p.
func (p profiled) spec() string {
	spec, _ := json.Marshal(p)
	return string(spec)
}

// execute starts the server under the profile, as a container's runtime does.
func (p profiled) execute() error {
	profile, err := seccomp.Ringcore()
	if err != nil {
		return err
	}
	profile.DefaultAction = seccomp.ActTrap // what is missing is to be heard of
	if err := profile.Apply(); err != nil {
		return err
	}
	p.Profile = false
	os.Setenv(profileVariable, p.spec())
	return syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
}

// live serves until SIGTERM, and then drains.
func (p *profiled) live() error {
	driver, err := ParseDriver(p.Driver)
	if err != nil {
		return err
	}
	dispatch, err := ParseDispatch(p.Dispatch)
	if err != nil {
		return err
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() { // not to outlive the test
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ready := make(chan bool, 3)
	s := New(&fasthttp.Server{Handler: p.handle, StreamRequestBody: true, TCPKeepalive: true,
		TCPKeepalivePeriod: time.Minute, ReadTimeout: time.Minute, IdleTimeout: time.Minute},
		WithDriver(driver), WithDispatch(dispatch), WithLoops(2), WithReady(func(Info) { ready <- true }))
	folders := fasthttp.FS{Root: filepath.Join(p.Folder, "folder"), GenerateIndexPages: true, Compress: true,
		CompressRoot: filepath.Join(p.Folder, "compressed"), PathRewrite: fasthttp.NewPathSlashesStripper(1)}
	p.server, p.folders = s, folders.NewRequestHandler()
	cert, err := os.ReadFile(filepath.Join(p.Folder, "cert.pem"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(p.Folder, "key.pem"))
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.peer = plain.Addr().String()
	served := make(chan error, 3)
	go func() { served <- s.Serve(plain) }()
	go func() { served <- s.ServeTLSEmbed(secure, cert, key) }()
	go func() { served <- s.ListenAndServeUNIX(filepath.Join(p.Folder, "socket"), 0o600) }()
	for serving := 0; serving < 3; serving++ {
		select {
		case <-ready:
		case err := <-served:
			return err
		}
	}
	fmt.Println(plain.Addr(), secure.Addr())
	select {
	case err := <-served:
		return err
	case <-terminate:
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.ShutdownWithContext(ctx)
}

// profiledFiles serves files by the loop.
var profiledFiles = sync.OnceValue(func() *Files {
	var p profiled
	_ = json.Unmarshal([]byte(os.Getenv(profileVariable)), &p)
	return &Files{Root: p.Folder}
})

func (p *profiled) handle(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/folder/", "/folder/text":
		p.folders(ctx)
	case "/form":
		n, err := p.keep(ctx)
		fmt.Fprintf(ctx, "%d %v", n, err)
	case "/dial", "/self":
		do := p.dial
		if string(ctx.Path()) == "/self" {
			do = p.doItself
		}
		resume := Suspend(ctx) // a loop cannot wait for itself
		go func() {
			defer resume()
			if err := do(); err != nil {
				ctx.Error(err.Error(), 500)
			}
		}()
	case "/served":
		profiledFiles().handle(ctx)
	case "/file":
		ctx.SendFile(filepath.Join(p.Folder, "file"))
	case "/upload":
		n, err := io.Copy(io.Discard, ctx.RequestBodyStream())
		fmt.Fprintf(ctx, "%d %v", n, err)
	case "/stream":
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
			for range 64 {
				w.Write(make([]byte, 32<<10))
				w.Flush()
			}
		})
	case "/garbage":
		var garbage [][]byte
		for range 16 {
			garbage = append(garbage, make([]byte, 1<<20))
		}
		runtime.GC()
		ctx.SetBody(garbage[15][:1])
	case "/sleep":
		time.Sleep(5 * time.Millisecond)
	case "/suspend":
		resume := Suspend(ctx)
		time.AfterFunc(time.Millisecond, resume)
	case "/hijack":
		ctx.Hijack(func(c net.Conn) { io.Copy(c, c) })
	case "/panic":
		panic("as asked")
	default:
		hello(ctx)
	}
}

// keep has the form's file kept as a file, and then under another name.
func (p *profiled) keep(ctx *fasthttp.RequestCtx) (int64, error) {
	form, err := ctx.MultipartForm()
	if err != nil {
		return 0, err
	}
	if len(form.File["upload"]) != 1 {
		return 0, fmt.Errorf("%d files in the form", len(form.File["upload"]))
	}
	header := form.File["upload"][0]
	f, err := header.Open()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, ok := f.(*os.File); !ok {
		return 0, fmt.Errorf("the upload is kept in a %T", f)
	}
	n, err := io.Copy(io.Discard, f)
	if err != nil {
		return n, err
	}
	name := filepath.Join(p.Folder, fmt.Sprint("kept", ctx.ID()))
	if err := fasthttp.SaveMultipartFile(header, name); err != nil {
		return n, err
	}
	return n, os.Remove(name)
}

// dial asks the server over a connection of its Dialer, and over one of Go's.
func (p *profiled) dial() error {
	for _, dial := range []func(network, address string) (net.Conn, error){p.server.Dialer().Dial, net.Dial} {
		c, err := dial("tcp", p.peer)
		if err != nil {
			return err
		}
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		answer, err := io.ReadAll(c)
		c.Close()
		if err != nil || !strings.HasSuffix(string(answer), "Hello, World!") {
			return fmt.Errorf("over %T: %q, %v", c, answer, err)
		}
	}
	return nil
}

// doItself does what handlers do with files, sockets and the Go runtime.
func (p *profiled) doItself() error {
	return errors.Join(p.copyFiles(), copySockets(), messages(), profileItself())
}

func (p *profiled) copyFiles() error {
	folder, err := os.MkdirTemp(p.Folder, "own")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	from, err := os.Open(filepath.Join(p.Folder, "link"))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(folder, "copy"))
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	_, err = to.WriteAt([]byte("at"), 1)
	_, err1 := filepath.EvalSymlinks(from.Name())
	_, err2 := syscall.Getwd()
	return errors.Join(err, err1, err2, unix.Faccessat(unix.AT_FDCWD, to.Name(), unix.R_OK, unix.AT_EACCESS))
}

// copySockets has an echo of Go's own connections answer, as a proxy does it.
func copySockets() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := (&net.Buffers{[]byte("one "), []byte("two")}).WriteTo(c); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "one two" {
		return fmt.Errorf("the echo: %q, %w", got, err)
	}
	return nil
}

// messages are what a UDP socket sends to itself.
func messages() error {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, _, err := c.WriteMsgUDP([]byte("message"), nil, c.LocalAddr().(*net.UDPAddr)); err != nil {
		return err
	}
	var got [16]byte
	n, _, _, _, err := c.ReadMsgUDP(got[:], nil)
	if err != nil || string(got[:n]) != "message" {
		return fmt.Errorf("a message: %q, %w", got[:n], err)
	}
	return nil
}

var profiling sync.Mutex // one at a time in a process

// profileItself profiles a thread that ends, and asks who it is.
func profileItself() error {
	profiling.Lock()
	defer profiling.Unlock()
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		ended <- syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	}()
	_ = []int{os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid()}
	return <-ended
}

// prepare makes the files of a profiled server.
func (p *profiled) prepare(t *testing.T) (roots *x509.CertPool) {
	t.Helper()
	p.Folder = t.TempDir()
	cert, key, roots := selfSigned(t)
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "file": bigBody[:300<<10], "served": bigBody[:300<<10]} {
		if err := os.WriteFile(filepath.Join(p.Folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(p.Folder, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "text"), []byte(profiledText), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(p.Folder, "link")); err != nil {
		t.Fatal(err)
	}
	return roots
}

// profiledText is long enough for fasthttp to compress it.
var profiledText = strings.Repeat("line of a text\n", 1000)

// form returns a form with a file in it, and its content type.
func form(file []byte) (io.Reader, string) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, _ := w.CreateFormFile("upload", "name") // errors are a Buffer's
	part.Write(file)
	w.Close()
	return &body, w.FormDataContentType()
}

// exercise runs the server, by the given command before its own, has clients
// use every path of it at once, and ends it.
func (p profiled) exercise(t *testing.T, roots *x509.CertPool, command ...string) {
	t.Helper()
	command = append(command, os.Args[0])
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), profileVariable+"="+p.spec())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	defer func() {
		in.Close() // ends it, if it has not ended
		ended()
		if t.Failed() {
			var call int // of SIGSYS, where registers have amd64's names
			if rax := regexp.MustCompile(`(?m)^rax +(0x\w+)`).FindStringSubmatch(stderr.String()); rax != nil {
				fmt.Sscan(rax[1], &call)
			}
			t.Logf("the server said (system call %d, %s):\n%.1500s", call, seccomp.Name(call), stderr.String())
		}
	}()
	var plain, secure string
	lines := bufio.NewReader(out)
	if _, err := fmt.Fscan(lines, &plain, &secure); err != nil {
		ended()
		t.Fatalf("the server does not start: %v", err)
	}
	var clients sync.WaitGroup
	unixSocket := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(p.Folder, "socket"))
	}}
	for _, c := range []struct {
		url string
		tr  *http.Transport
	}{
		{"http://" + plain, &http.Transport{}},
		{"https://" + secure, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
		{"http://socket", unixSocket},
	} {
		for range 4 {
			clients.Go(func() {
				if err := useAllPaths(&http.Client{Transport: c.tr, Timeout: time.Minute}, c.url); err != nil {
					t.Error(err)
				}
			})
		}
		defer c.tr.CloseIdleConnections()
	}
	clients.Wait()
	if err := useHijack(plain); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	signalServer(t, cmd.Process.Pid)
	if err := ended(); err != nil {
		t.Errorf("the server: %v", err)
	}
}

// signalServer sends SIGTERM to the server, which is pid or its child.
func signalServer(t *testing.T, pid int) {
	t.Helper()
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.TrimSpace(string(name)) == "strace" {
		if _, err := fmt.Sscan(string(children), &pid); err != nil {
			t.Fatalf("strace has no child: %v", err)
		}
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Error(err)
	}
}

// useAllPaths asks for everything that a profiled server has, again and again.
func useAllPaths(c *http.Client, url string) error {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		file, kind := form(bigBody[:1<<20])
		for _, ask := range []struct {
			path string
			body io.Reader
			code int
			want string
		}{
			{"/", nil, 200, "Hello, World!"},
			{"/file", nil, 200, string(bigBody[:300<<10])},
			{"/served", nil, 200, string(bigBody[:300<<10])},
			{"/upload", bytes.NewReader(bigBody[:1<<20]), 200, "1048576 <nil>"},
			{"/upload", io.MultiReader(strings.NewReader("in chunks")), 200, "9 <nil>"},
			{"/stream", nil, 200, string(make([]byte, 2<<20))},
			{"/garbage", nil, 200, "\x00"},
			{"/sleep", nil, 200, ""},
			{"/suspend", nil, 200, ""},
			{"/folder/", nil, 200, ">text</a>"}, // among others,
			{"/folder/text", nil, 200, profiledText},
			{"/form", file, 200, "1048576 <nil>"},
			{"/dial", nil, 200, ""},
			{"/self", nil, 200, ""},
		} {
			method := "GET"
			if ask.body != nil {
				method = "POST"
			}
			req, err := http.NewRequest(method, url+ask.path, ask.body)
			if err != nil {
				return err
			}
			if ask.path == "/form" {
				req.Header.Set("Content-Type", kind)
			}
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			listed := ask.path == "/folder/" && strings.Contains(string(body), ask.want)
			if err != nil || resp.StatusCode != ask.code || string(body) != ask.want && !listed {
				return fmt.Errorf("%s%s: %v, status %d, %d octets: %.80q", url, ask.path, err, resp.StatusCode, len(body), body)
			}
		}
	}
	return nil
}

// useHijack talks over a connection that a handler takes.
func useHijack(addr string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(nc, "GET /hijack HTTP/1.1\r\nHost: test\r\n\r\n")
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	io.WriteString(nc, "\x00echo\n")
	if line, err := r.ReadString('\n'); line != "\x00echo\n" {
		return fmt.Errorf("hijacked: %q, %v", line, err)
	}
	return nil
}

// profiledModes are the ways of serving that the profile is checked with.
var profiledModes = []mode{
	{IOUring, Pooled, TierBest},
	{IOUring, Adaptive, TierBest},
	{Epoll, Inline, TierBest},
	{Epoll, Adaptive, TierBest},
}

// TestProfile runs servers under the profile that ringcore ships, as a
// container would. What it forgets raises SIGSYS: the stacks then say who
// called, and the log which call it was.
func TestProfile(t *testing.T) {
	for _, m := range profiledModes {
		t.Run(m.String(), func(t *testing.T) {
			requireDriver(t, m)
			p := profiled{Driver: m.driver.String(), Dispatch: m.dispatch.String(), Profile: true}
			p.exercise(t, p.prepare(t))
		})
	}
}

// TestProfileIsExact: the profile allows nothing that servers do not call, but
// for what its comments call rare, and what only programs with cgo call.
func TestProfileIsExact(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace here (Debian package strace)")
	}
	profile, err := seccomp.Ringcore()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{} // with an example
	for _, m := range profiledModes {
		t.Run(m.String(), func(t *testing.T) {
			requireDriver(t, m)
			p := profiled{Driver: m.driver.String(), Dispatch: m.dispatch.String()}
			roots := p.prepare(t)
			log := filepath.Join(p.Folder, "calls")
			p.exercise(t, roots, strace, "-f", "-qq", "--signal=none", "-o", log)
			calls, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range regexp.MustCompile(`(?m)^\d+ +([a-z]\w*)\(.*`).FindAllSubmatch(calls, -1) {
				seen[string(call[1])] = string(call[0])
			}
		})
	}
	if t.Failed() {
		return
	}
	if probeDriver() != nil {
		t.Skip("without io_uring only half of the calls are made")
	}
	t.Logf("%d kinds of system calls: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	for name, example := range seen {
		if !slices.ContainsFunc(profile.Syscalls, func(r seccomp.Rule) bool { return slices.Contains(r.Names, name) }) {
			t.Errorf("servers call %s, which scripts/seccomp/ringcore.json does not name: %s", name, example)
		}
	}
	cgo, err := isDynamic(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			number, known := seccomp.Number(name)
			if !known || number < 0 || strings.HasPrefix(rule.Comment, "rarely") || !cgo && strings.HasPrefix(rule.Comment, "cgo") {
				continue
			}
			if seen[name] == "" && rule.Action == seccomp.ActAllow {
				t.Errorf("scripts/seccomp/ringcore.json allows %s, which no server has called", name)
			}
		}
	}
}

// isDynamic reports whether a program wants a C library.
func isDynamic(name string) (bool, error) {
	f, err := elf.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), nil
}
