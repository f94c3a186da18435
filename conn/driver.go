//go:build linux

package conn

import (
	"errors"

	"github.com/ringcore/ringcore/fallback"
	"github.com/ringcore/ringcore/ring"
)

// choice is the driver that an Engine has settled on, once for all its loops.
type choice struct {
	kind   DriverKind
	reason string // why not io_uring
	tier   Tier
	open   func(ring.Config) (ring.Driver, error)
}

// ErrUnrestricted is reported when io_uring serves without the restriction to
// the operations that are used, which has been refused.
var ErrUnrestricted = errors.New("conn: io_uring is unrestricted: io_uring_register(RESTRICTIONS) was refused, most likely by a seccomp profile")

// chooseDriver settles on a driver by trying a real ring. Only a refusal
// (no io_uring, forbidden, too old) leads to epoll: running out of memory or
// descriptors is an error, for epoll would not cure it.
func chooseDriver(o *Options) (choice, error) {
	if o.OpenDriver != nil {
		return choice{kind: o.Driver, open: o.OpenDriver}, nil
	}
	epoll := choice{kind: Epoll, open: func(c ring.Config) (ring.Driver, error) { return fallback.Open(c) }}
	if o.Driver == Epoll {
		epoll.reason = "epoll was asked for"
		return epoll, nil
	}
	f, err := ring.Probe(o.MaxTier)
	if err == nil {
		if !f.Restricted && o.OnWarning != nil {
			o.OnWarning(ErrUnrestricted)
		}
		return choice{kind: IOUring, tier: f.Tier, open: func(c ring.Config) (ring.Driver, error) {
			c.MaxTier = f.Tier
			u, err := ring.Open(c)
			if err == nil && !f.Files {
				return fallback.WithFiles(u)
			}
			return u, err
		}}, nil
	}
	var refused *ring.RefusedError
	if o.Driver == Auto && errors.As(err, &refused) {
		epoll.reason = refused.Error()
		return epoll, nil
	}
	return choice{}, err
}
