// Package drivertest is the contract of ring.Driver as tests: what every
// driver has to do, over real sockets on loopback. Each driver's own tests
// call Run, and so do those of the lower tiers of io_uring.
package drivertest
