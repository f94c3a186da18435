//go:build linux

package fallback

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// TestSendFileNowhere: connections that are no sockets have no files sent.
func TestSendFileNowhere(t *testing.T) {
	d := open(t, ring.Config{})
	f, err := WithFiles(struct{ ring.Driver }{d})
	must(t, "set-up", err)
	token := ring.MakeToken(1, 1)
	f.SendFile(1, token, 0, 0, 1, false)
	var ev ring.Event
	if !f.Next(&ev) || ev.Op != ring.OpSendFile || ev.Token != token || ev.Err != unix.EOPNOTSUPP {
		t.Errorf("%+v", ev)
	}
	must(t, "munmap", unix.Munmap(f.memory))
}
