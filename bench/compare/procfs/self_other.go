//go:build !unix

package procfs

import (
	"errors"
	"time"
)

// ReadSelf fails: it needs Unix.
func ReadSelf() (time.Duration, error) { return 0, errors.New("getrusage needs Unix") }
