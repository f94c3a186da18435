//go:build linux

package httpcore

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// selfSigned makes a certificate for 127.0.0.1 and localhost.
func selfSigned(t *testing.T) (certPEM, keyPEM []byte, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return certPEM, keyPEM, roots
}

// serveTLSTest serves fs over TLS on a free port.
func serveTLSTest(t *testing.T, m mode, fs *fasthttp.Server, prepare func(*Server)) (addr string, roots *x509.CertPool) {
	t.Helper()
	cert, key, roots := selfSigned(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fs.Logger = &logBuffer{}
	s := New(fs, WithDriver(m.driver), WithDispatch(m.dispatch))
	if prepare != nil {
		prepare(s)
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLSEmbed(ln, cert, key) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		eventually(t, "the server has started", func() bool { return s.Info().Driver != "" })
		if err := s.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("ServeTLSEmbed: %v", err)
		}
	})
	return ln.Addr().String(), roots
}

func TestTLS(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		addr, roots := serveTLSTest(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if !ctx.IsTLS() || ctx.TLSConnectionState() == nil || string(ctx.URI().Scheme()) != "https" {
				ctx.Error("not TLS", 500)
				return
			}
			ctx.Write(ctx.PostBody())
			if _, ok := ctx.RemoteAddr().(*net.TCPAddr); !ok {
				ctx.Error("no address", 500)
			}
		}}, nil)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
		for _, n := range []int{0, 1, 100 << 10, 2 << 20} {
			body := strings.Repeat("x", n)
			resp, err := client.Post("https://"+addr+"/", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || string(got) != body || err != nil {
				t.Fatalf("%d bytes: got %d, %d bytes, %v", n, resp.StatusCode, len(got), err)
			}
		}
		// Smuggling vectors are refused here as everywhere.
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "GET / HTTP/1.1\nHost: test\n\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Fatalf("a bare LF: got %v, %v", resp, err)
		}
	})
}

func TestTLSNextProto(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		addr, roots := serveTLSTest(t, m, &fasthttp.Server{Handler: hello}, func(s *Server) {
			s.NextProto("shout", func(c net.Conn) error {
				_, err := io.WriteString(c, "SHOUT")
				return err
			})
		})
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, NextProtos: []string{"shout"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if b, err := io.ReadAll(c); err != nil || string(b) != "SHOUT" {
			t.Fatalf("got %q, %v", b, err)
		}
	})
}

// Clients that never finish their handshake hold up nobody.
func TestTLSStalledHandshakes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		addr, roots := serveTLSTest(t, m, &fasthttp.Server{Handler: hello}, nil)
		for range 100 {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "\x16\x03\x01")
		}
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get("https://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
}

func TestInMemoryListener(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ln := fasthttputil.NewInmemoryListener()
		s := New(&fasthttp.Server{Handler: echo, Logger: &logBuffer{}}, WithDriver(m.driver), WithDispatch(m.dispatch))
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		client := &fasthttp.Client{Dial: func(string) (net.Conn, error) { return ln.Dial() }}
		for range 3 {
			status, body, err := client.Post(nil, "http://test/x", nil)
			if err != nil || status != 200 || string(body) != "POST /x||" {
				t.Fatalf("got %d %q, %v", status, body, err)
			}
		}
		if err := s.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestServeConn(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		s := New(&fasthttp.Server{Handler: echo, Logger: &logBuffer{}}, WithDriver(m.driver), WithDispatch(m.dispatch))
		defer s.Shutdown()
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(a) }()
		b.SetDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(b)
		for range 2 {
			io.WriteString(b, get("/pipe"))
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != "GET /pipe||" {
				t.Fatalf("got %q", body)
			}
		}
		b.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestMaxConnsPerIP(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hello, MaxConnsPerIP: 1})
		a := ts.dial()
		a.send(get("/"))
		a.want(200, "Hello, World!")
		if r := ts.dial().response("GET"); r.StatusCode != 429 || !r.Close {
			t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
		}
		if n := ts.GetRejectedConnectionsCount(); n != 1 {
			t.Errorf("%d rejected", n)
		}
		a.Close()
		eventually(t, "the address is free again", func() bool { return ts.GetOpenConnectionsCount() == 0 })
		b := ts.dial()
		b.send(get("/"))
		b.want(200, "Hello, World!")
	})
}

func TestConnState(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var mu sync.Mutex
		var states []string
		conns := map[net.Conn]bool{}
		ts := serve(t, m, &fasthttp.Server{Handler: hello, ConnState: func(c net.Conn, st fasthttp.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, st.String())
			conns[c] = true
		}})
		c := ts.dial()
		for range 2 {
			c.send(get("/"))
			c.want(200, "Hello, World!")
		}
		c.Close()
		want := "new active idle active idle closed"
		eventually(t, "the states are "+want, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(states, " ") == want && len(conns) == 1
		})
	})
}

func TestListenAndServeUNIX(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		path := filepath.Join(t.TempDir(), "socket")
		if err := os.WriteFile(path, nil, 0o600); err != nil { // left behind by somebody
			t.Fatal(err)
		}
		ready := make(chan Info, 1)
		s := New(&fasthttp.Server{Handler: hello, Logger: &logBuffer{}}, WithDriver(m.driver), WithDispatch(m.dispatch),
			WithReady(func(i Info) { ready <- i }))
		done := make(chan error, 1)
		go func() { done <- s.ListenAndServeUNIX(path, 0o640) }()
		<-ready
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
			t.Fatalf("got %v, %v", fi, err)
		}
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}
		resp, err := (&http.Client{Transport: tr}).Get("http://test/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
		if err := s.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket's file is still there: %v", err)
		}
	})
}
