package httpcore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// ListenAndServeTLS serves HTTPS on the TCP address addr with the certificate
// and key of the two files (PEM), or with those of fasthttp.Server.TLSConfig
// when both names are empty. It returns as ListenAndServe does.
//
// TLS is the slow lane: crypto/tls reads and writes, on a goroutine for each
// connection.
func (s *Server) ListenAndServeTLS(addr, certFile, keyFile string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.ServeTLS(ln, certFile, keyFile)
}

// ListenAndServeTLSEmbed is ListenAndServeTLS with certificate and key in memory.
func (s *Server) ListenAndServeTLSEmbed(addr string, certData, keyData []byte) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.ServeTLSEmbed(ln, certData, keyData)
}

// ListenAndServeUNIX serves HTTP on a unix socket at the path addr, whose file
// gets the given mode. An old socket's file there is removed first.
func (s *Server) ListenAndServeUNIX(addr string, mode os.FileMode) error {
	if err := os.Remove(addr); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("httpcore: cannot remove the old unix socket: %w", err)
	}
	ln, err := net.Listen("unix", addr)
	if err != nil {
		return err
	}
	if err := os.Chmod(addr, mode); err != nil {
		_ = ln.Close()
		return fmt.Errorf("httpcore: cannot set the mode of the unix socket: %w", err)
	}
	return s.Serve(ln)
}

// ServeTLS serves HTTPS from ln; see ListenAndServeTLS and Serve.
func (s *Server) ServeTLS(ln net.Listener, certFile, keyFile string) error {
	return s.serveTLS(ln, certFile != "" || keyFile != "", func() (tls.Certificate, error) {
		return tls.LoadX509KeyPair(certFile, keyFile)
	})
}

// ServeTLSEmbed serves HTTPS from ln; see ListenAndServeTLSEmbed and Serve.
func (s *Server) ServeTLSEmbed(ln net.Listener, certData, keyData []byte) error {
	return s.serveTLS(ln, len(certData) > 0 || len(keyData) > 0, func() (tls.Certificate, error) {
		return tls.X509KeyPair(certData, keyData)
	})
}

var errNoCertificate = errors.New("httpcore: TLS needs a certificate: give files or data, or set TLSConfig")

func (s *Server) serveTLS(ln net.Listener, given bool, load func() (tls.Certificate, error)) error {
	cfg, err := s.tlsConfig(given, load)
	if err != nil {
		_ = ln.Close()
		return err
	}
	return s.Serve(tls.NewListener(ln, cfg))
}

// tlsConfig returns a copy of the configuration, with the certificate given.
func (s *Server) tlsConfig(given bool, load func() (tls.Certificate, error)) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.fs.TLSConfig != nil {
		cfg = s.fs.TLSConfig.Clone()
	}
	if given {
		cert, err := load()
		if err != nil {
			return nil, fmt.Errorf("httpcore: cannot load the TLS key pair: %w", err)
		}
		cfg.Certificates = append(cfg.Certificates[:len(cfg.Certificates):len(cfg.Certificates)], cert)
	}
	if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
		return nil, errNoCertificate
	}
	return cfg, nil
}

// AppendCert adds a certificate and key (PEM files) to the TLS configuration,
// before serving; the client's SNI chooses among them.
func (s *Server) AppendCert(certFile, keyFile string) error {
	return s.fs.AppendCert(certFile, keyFile)
}

// AppendCertEmbed is AppendCert with certificate and key in memory.
func (s *Server) AppendCertEmbed(certData, keyData []byte) error {
	return s.fs.AppendCertEmbed(certData, keyData)
}

// NextProto registers a handler for connections on which the client and the
// server negotiate the protocol key (ALPN, RFC 7301), before serving. The
// handler owns the connection until it returns.
func (s *Server) NextProto(key string, h fasthttp.ServeHandler) { s.fs.NextProto(key, h) }

// nextProtos returns what was registered with NextProto, here or on fs.
func nextProtos(fs *fasthttp.Server) map[string]fasthttp.ServeHandler {
	return *inside.nextProtos.of(unsafe.Pointer(fs))
}
