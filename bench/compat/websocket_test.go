package compat

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/fasthttp/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// webSockets echo by two libraries: one that has a handler for fasthttp and one
// for net/http, and one that takes any net.Conn. A third is a client.
var webSockets = map[string]fasthttp.RequestHandler{
	"/fasthttp": func(ctx *fasthttp.RequestCtx) {
		up := websocket.FastHTTPUpgrader{EnableCompression: true, CheckOrigin: func(*fasthttp.RequestCtx) bool { return true }}
		_ = up.Upgrade(ctx, func(c *websocket.Conn) {
			for {
				kind, p, err := c.ReadMessage()
				if err != nil || c.WriteMessage(kind, p) != nil {
					return
				}
			}
		})
	},
	// A WebSocket handler of net/http, through the adaptor. Libraries that send
	// the 101 by WriteHeader before they hijack (coder/websocket) get nowhere
	// with the adaptor, on fasthttp's own server just as here.
	"/nethttp": fasthttpadaptor.NewFastHTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}),
	"/gobwas": func(ctx *fasthttp.RequestCtx) {
		key := string(ctx.Request.Header.Peek("Sec-Websocket-Key"))
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(key))
			for {
				p, op, err := wsutil.ReadClientData(c)
				if err != nil || wsutil.WriteServerMessage(c, op, p) != nil {
					return
				}
			}
		})
	},
}

func TestWebSockets(t *testing.T) {
	h := func(ctx *fasthttp.RequestCtx) {
		if h := webSockets[string(ctx.Path())]; h != nil {
			h(ctx)
		} else {
			ctx.NotFound()
		}
	}
	run(t, true, handler(h), func(t *testing.T, addr string) {
		for path := range webSockets {
			t.Run(path[1:], func(t *testing.T) {
				byCoder(t, "ws://"+addr+path)
				byFasthttp(t, "ws://"+addr+path)
				byGobwas(t, "ws://"+addr+path)
			})
		}
	})
}

var messages = []string{"", "a", strings.Repeat("message ", 10000)}

func byCoder(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, resp, err := coder.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for _, m := range messages {
		if err := c.Write(ctx, coder.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(ctx); err != nil || string(p) != m {
			t.Fatalf("got %.100q, %v", p, err)
		}
	}
}

func byFasthttp(t *testing.T, url string) {
	dialer := websocket.Dialer{EnableCompression: true, HandshakeTimeout: 20 * time.Second}
	c, resp, err := dialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer c.Close()
	for _, m := range messages {
		if err := c.WriteMessage(websocket.BinaryMessage, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); err != nil || string(p) != m {
			t.Fatalf("got %.100q, %v", p, err)
		}
	}
}

func byGobwas(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, _, _, err := ws.Dial(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	for _, m := range messages {
		if err := wsutil.WriteClientText(c, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if p, err := wsutil.ReadServerText(c); err != nil || string(p) != m {
			t.Fatalf("got %.100q, %v", p, err)
		}
	}
}

// acceptKey is Sec-WebSocket-Accept (RFC 6455 section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // the protocol's choice
	return base64.StdEncoding.EncodeToString(sum[:])
}
