// Package compat has tests with other people's packages: what they promise, or
// expect, of ours. It is a module of its own, so that the library's does not
// grow.
package compat
