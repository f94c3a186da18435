//go:build linux

package drivertest

import (
	"testing"

	"github.com/ringcore/ringcore/ring"
)

// Open makes a driver for one test; it implements ring.Files. It is called on the goroutine which will
// use the driver, locked to its thread. The suite destroys what it opened.
type Open func(t *testing.T, cfg ring.Config) ring.Driver

// Run runs the whole contract as subtests of t. The subtests count the
// process's file descriptors, so nothing else may run in parallel with them.
func Run(t *testing.T, open func(t *testing.T, cfg ring.Config) ring.Driver) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"AcceptStream", testAcceptStream},
		{"AcceptOutOfFiles", testAcceptOutOfFiles},
		{"AcceptOnBadSocket", testAcceptOnBadSocket},
		{"ReceiveDataThenEOF", testReceiveDataThenEOF},
		{"ReceiveInOrder", testReceiveInOrder},
		{"ReceiveReset", testReceiveReset},
		{"ReceiveTokens", testReceiveTokens},
		{"BuffersRunOut", testBuffersRunOut},
		{"BuffersGrow", testBuffersGrow},
		{"BuffersShared", testBuffersShared},
		{"SendSmall", testSendSmall},
		{"SendLargeToSlowReader", testSendLargeToSlowReader},
		{"SendAfterHalfClose", testSendAfterHalfClose},
		{"SendToReset", testSendToReset},
		{"CancelReceive", testCancelReceive},
		{"CancelReceiveLosesNothing", testCancelReceiveLosesNothing},
		{"CancelAccept", testCancelAccept},
		{"CancelSend", testCancelSend},
		{"CancelNothing", testCancelNothing},
		{"WaitTimeout", testWaitTimeout},
		{"WakeEndsWait", testWakeEndsWait},
		{"WakeBeforeWait", testWakeBeforeWait},
		{"WakeMany", testWakeMany},
		{"WakeDuringDestroy", testWakeDuringDestroy},
		{"Connect", testConnect},
		{"ConnectUnix", testConnectUnix},
		{"ConnectRefused", testConnectRefused},
		{"ConnectCancel", testConnectCancel},
		{"ConnectMany", testConnectMany},
		{"Close", testClose},
		{"Detach", testDetach},
		{"DestroyInTheMiddle", testDestroyInTheMiddle},
		{"File", testFile},
		{"FileErrors", testFileErrors},
		{"FileCold", testFileCold},
		{"FileCancel", testFileCancel},
		{"FileDestroy", testFileDestroy},
		{"FileNoAllocations", testFileNoAllocations},
		{"Echo", testEcho},
		{"SmallQueues", testSmallQueues},
		{"NoAllocations", testNoAllocations},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
