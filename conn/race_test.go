//go:build race

package conn

// raceEnabled: the race detector makes everything ten times slower, and
// allocates.
const raceEnabled = true
