//go:build race

package gen

// raceEnabled: the race detector makes everything ten times slower, and
// allocates.
const raceEnabled = true
