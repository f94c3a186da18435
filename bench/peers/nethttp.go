package main

import (
	"io"
	"net/http"
	"strconv"
)

// serveNetHTTP serves by net/http. Content-Length is set by hand, since 10 KiB
// would go out chunked without it.
func serveNetHTTP(c config) error {
	mux := http.NewServeMux()
	fixed := func(kind string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, kind, body) }
	}
	mux.HandleFunc("/{$}", fixed(textType, hello))
	mux.HandleFunc("/plaintext", fixed(textType, hello))
	mux.HandleFunc("/10k", fixed(binaryType, tenK))
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, http.StatusRequestEntityTooLarge, textType, []byte("too large\n"))
			return
		}
		answer(w, http.StatusOK, r.Header.Get("Content-Type"), body)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, ok := slowFor(strconv.Atoi(r.URL.Query().Get("ms")))
		if !ok {
			answer(w, http.StatusBadRequest, textType, []byte("bad ms\n"))
			return
		}
		answer(w, http.StatusOK, textType, []byte(wait(ms)))
	})
	if c.root != "" {
		mux.Handle("/", http.FileServer(http.Dir(c.root)))
	}
	return http.ListenAndServe(c.addr, mux)
}

func answer(w http.ResponseWriter, code int, kind string, body []byte) {
	h := w.Header()
	h.Set("Server", "net-http")
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
