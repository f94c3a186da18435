// Package seccomp has the seccomp profile that ringcore runs with, and enough
// of a compiler to put it, or another one, into force without a container:
// for the tests, and for command under.
package seccomp
