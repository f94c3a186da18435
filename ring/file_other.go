//go:build !linux

package ring

const openFlags = 0
