//go:build race

package httpcore

const raceEnabled = true
