//go:build linux

package httpcore

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// startTLS calls serve, which is one of the ways to serve TLS, and returns when
// the server has started.
func startTLS(t *testing.T, m mode, fs *fasthttp.Server, serve func(*Server) error, opts ...Option) *testServer {
	t.Helper()
	ts := &testServer{t: t, done: make(chan error, 1), log: &logBuffer{}}
	fs.Logger = ts.log
	ready := make(chan Info, 1)
	ts.Server = New(fs, append(opts, WithDriver(m.driver), WithDispatch(m.dispatch), WithReady(func(i Info) { ready <- i }))...)
	go func() { ts.done <- serve(ts.Server) }()
	select {
	case i := <-ready:
		ts.addr = i.Addr.String()
	case err := <-ts.done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ts.Shutdown(); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return ts
}

// getTLS asks for / over a connection of its own.
func (ts *testServer) getTLS(cfg *tls.Config) (body string, st tls.ConnectionState, err error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", ts.addr, cfg)
	if err != nil {
		return "", st, err
	}
	cl := newClient(ts.t, c)
	defer cl.Close()
	if _, err := io.WriteString(c, get("/")); err != nil {
		return "", st, err
	}
	r, err := cl.tryResponse("GET")
	return r.body, c.ConnectionState(), err
}

// Each way to give a certificate, and each way to listen.
func TestTLSCertificates(t *testing.T) {
	cert, key, roots := selfSigned(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for name, b := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listen := func(serve func(net.Listener) error) error {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return serve(ln)
	}
	const free = "127.0.0.1:0"
	for name, serve := range map[string]func(*Server) error{
		"ListenAndServeTLS":      func(s *Server) error { return s.ListenAndServeTLS(free, certFile, keyFile) },
		"ListenAndServeTLSEmbed": func(s *Server) error { return s.ListenAndServeTLSEmbed(free, cert, key) },
		"ServeTLS": func(s *Server) error {
			return listen(func(ln net.Listener) error { return s.ServeTLS(ln, certFile, keyFile) })
		},
		"ServeTLSEmbed": func(s *Server) error {
			return listen(func(ln net.Listener) error { return s.ServeTLSEmbed(ln, cert, key) })
		},
		"AppendCert": func(s *Server) error {
			return errors.Join(s.AppendCert(certFile, keyFile), s.ListenAndServeTLS(free, "", ""))
		},
		"AppendCertEmbed": func(s *Server) error {
			return errors.Join(s.AppendCertEmbed(cert, key), s.ListenAndServeTLS(free, "", ""))
		},
		"TLSConfig": func(s *Server) error {
			s.fs.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
			return s.ListenAndServeTLS(free, "", "")
		},
		"a TLS listener": func(s *Server) error {
			return listen(func(ln net.Listener) error {
				return s.Serve(tls.NewListener(ln, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				ts := startTLS(t, m, &fasthttp.Server{Handler: hello}, serve)
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					body, st, err := ts.getTLS(&tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version})
					if err != nil || body != "Hello, World!" || st.Version != version {
						t.Errorf("got %q, version %x, %v", body, st.Version, err)
					}
				}
			})
		})
	}
	s := New(&fasthttp.Server{Handler: hello})
	if err := s.ListenAndServeTLS(free, "", ""); err != errNoCertificate {
		t.Errorf("without a certificate: %v", err)
	}
	if err := s.ListenAndServeTLS(free, "none", "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the files: %v", err)
	}
}

// Clients that must show a certificate, and handlers that look at it.
func TestTLSClientCertificates(t *testing.T) {
	cert, key, roots := selfSigned(t)
	clientCert, clientKey, clientRoots := selfSigned(t)
	pair, err := tls.X509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(t *testing.T, m mode) {
		fs := &fasthttp.Server{
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert, ClientCAs: clientRoots},
			Handler: func(ctx *fasthttp.RequestCtx) {
				certs := ctx.TLSConnectionState().PeerCertificates
				fmt.Fprint(ctx, len(certs), certs[0].Subject.CommonName)
			},
		}
		ts := startTLS(t, m, fs, func(s *Server) error { return s.ListenAndServeTLSEmbed("127.0.0.1:0", cert, key) })
		if body, _, err := ts.getTLS(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}); err != nil || body != "1localhost" {
			t.Errorf("got %q, %v", body, err)
		}
		if body, _, err := ts.getTLS(&tls.Config{RootCAs: roots}); err == nil {
			t.Errorf("without a certificate: got %q", body)
		}
	})
}

// A client that comes back resumes its session.
func TestTLSResumption(t *testing.T) {
	cert, key, roots := selfSigned(t)
	run(t, func(t *testing.T, m mode) {
		ts := startTLS(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprint(ctx, ctx.TLSConnectionState().DidResume)
		}}, func(s *Server) error { return s.ListenAndServeTLSEmbed("127.0.0.1:0", cert, key) })
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cfg := &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			for _, want := range []bool{false, true} {
				body, st, err := ts.getTLS(cfg)
				if err != nil || body != fmt.Sprint(want) || st.DidResume != want {
					t.Errorf("version %x: got %q and %v, %v, want %v", version, body, st.DidResume, err, want)
				}
			}
		}
	})
}

// Handshakes are bounded; when all places are taken by clients that stall, the
// one that has stalled longest gives way.
func TestTLSHandshakeFlood(t *testing.T) {
	cert, key, roots := selfSigned(t)
	run(t, func(t *testing.T, m mode) {
		const places = 8
		tuned := func(o *options) { o.tune.handshakes, o.tune.patience = places, 50*time.Millisecond }
		ts := startTLS(t, m, &fasthttp.Server{Handler: hello}, func(s *Server) error {
			return s.ListenAndServeTLSEmbed("127.0.0.1:0", cert, key)
		}, tuned)
		const stalled = 3 * places
		before := runtime.NumGoroutine()
		var conns []*client
		for range stalled {
			nc, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, nc)
			c.send("\x16\x03\x01")
			conns = append(conns, c)
		}
		if n := runtime.NumGoroutine() - before; n > places+4 {
			t.Errorf("%d goroutines for %d stalled handshakes", n, stalled)
		}
		if body, _, err := ts.getTLS(&tls.Config{RootCAs: roots}); err != nil || body != "Hello, World!" {
			t.Fatalf("behind the flood: got %q, %v", body, err)
		}
		conns[0].wantEOF() // it has given way
		for _, c := range conns {
			c.Close()
		}
		eventually(t, "nothing is left of them", func() bool { return ts.GetOpenConnectionsCount() == 0 })
	})
}

// Connections count for MaxConnsPerIP from before their handshake, and one too
// many is closed without one.
func TestTLSMaxConnsPerIP(t *testing.T) {
	cert, key, roots := selfSigned(t)
	run(t, func(t *testing.T, m mode) {
		ts := startTLS(t, m, &fasthttp.Server{Handler: hello, MaxConnsPerIP: 1}, func(s *Server) error {
			return s.ListenAndServeTLSEmbed("127.0.0.1:0", cert, key)
		})
		silent, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the silent one counts", func() bool { return ts.GetOpenConnectionsCount() == 1 })
		over, err := net.Dial("tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		newClient(t, over).wantEOF()
		if n := ts.GetRejectedConnectionsCount(); n != 1 {
			t.Errorf("%d rejected", n)
		}
		silent.Close()
		eventually(t, "the address is free again", func() bool { return ts.GetOpenConnectionsCount() == 0 })
		for range 2 {
			if body, _, err := ts.getTLS(&tls.Config{RootCAs: roots}); err != nil || body != "Hello, World!" {
				t.Fatalf("got %q, %v", body, err)
			}
			eventually(t, "it is closed", func() bool { return ts.GetOpenConnectionsCount() == 0 })
		}
	})
}

// shortListener has no descriptors now and then.
type shortListener struct {
	net.Listener
	fail int
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.fail > 0 {
		l.fail--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Descriptors that run out do not end the slow lane.
func TestTLSSurvivesAShortage(t *testing.T) {
	cert, key, roots := selfSigned(t)
	run(t, func(t *testing.T, m mode) {
		ts := startTLS(t, m, &fasthttp.Server{Handler: hello}, func(s *Server) error {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return s.ServeTLSEmbed(&shortListener{ln, 3}, cert, key)
		})
		if body, _, err := ts.getTLS(&tls.Config{RootCAs: roots}); err != nil || body != "Hello, World!" {
			t.Fatalf("got %q, %v", body, err)
		}
	})
}

const idleTLSClientEnv = "HTTPCORE_TEST_IDLE_TLS_CLIENT"

// TestIdleTLSClient is the client's end of TestIdleTLS.
func TestIdleTLSClient(t *testing.T) {
	addr, count, ok := strings.Cut(os.Getenv(idleTLSClientEnv), " ")
	if !ok {
		t.Skip("run by TestIdleTLS")
	}
	n, _ := strconv.Atoi(count)
	for range n {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		newClient(t, c).send(get("/"))
		if _, err := c.Read(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("open", n)
	io.Copy(io.Discard, os.Stdin)
}

// What an idle TLS connection costs is bounded; the test says how much it is.
func TestIdleTLS(t *testing.T) {
	cert, key, _ := selfSigned(t)
	const n = 1000
	for _, m := range []mode{{driver: IOUring}, {driver: Epoll}} {
		t.Run(m.driver.String(), func(t *testing.T) {
			requireDriver(t, m)
			ts := startTLS(t, m, &fasthttp.Server{Handler: hello}, func(s *Server) error {
				return s.ListenAndServeTLSEmbed("127.0.0.1:0", cert, key)
			})
			debug.FreeOSMemory() // of an earlier test's
			before, goroutines := mappedBytes(t), runtime.NumGoroutine()
			cmd := exec.Command(os.Args[0], "-test.run=^TestIdleTLSClient$", "-test.v")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", idleTLSClientEnv, ts.addr, n))
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "open ") {
			}
			eventually(t, "all are idle", func() bool { return ts.GetOpenConnectionsCount() == n })
			debug.FreeOSMemory()
			kib := float64(mappedBytes(t)-before) / 1024 / n
			t.Logf("an idle TLS connection: %.1f KiB of resident memory, %.1f goroutines", kib, float64(runtime.NumGoroutine()-goroutines)/n)
			if kib > 64 {
				t.Errorf("an idle TLS connection costs %.1f KiB", kib)
			}
			in.Close()
			io.Copy(io.Discard, out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("the client: %v", err)
			}
		})
	}
}
