package ring

import (
	"fmt"
	"strings"
)

// Flags of io_uring_setup(2) and bits of its features that matter here.
const (
	setupCQSize       = 1 << 3  // IORING_SETUP_CQSIZE
	setupRDisabled    = 1 << 6  // IORING_SETUP_R_DISABLED
	setupSubmitAll    = 1 << 7  // IORING_SETUP_SUBMIT_ALL
	setupCoopTaskrun  = 1 << 8  // IORING_SETUP_COOP_TASKRUN
	setupSingleIssuer = 1 << 12 // IORING_SETUP_SINGLE_ISSUER
	setupDeferTaskrun = 1 << 13 // IORING_SETUP_DEFER_TASKRUN

	featSingleMmap = 1 << 0 // IORING_FEAT_SINGLE_MMAP
	featNoDrop     = 1 << 1 // IORING_FEAT_NODROP
	featExtArg     = 1 << 8 // IORING_FEAT_EXT_ARG
)

// Features is what this kernel was seen to do: by running it, not by asking
// for a version number or for feature bits.
type Features struct {
	// Tier is the highest tier that works, within the limit asked for.
	Tier Tier
	// SetupFlags are the IORING_SETUP_* flags of the ring (io_uring_setup(2)).
	SetupFlags uint32
	// FeatureBits are the IORING_FEAT_* bits that the kernel reported. They
	// are for people: nothing is decided by them.
	FeatureBits uint32
	// MultishotAccept: one accept delivers connection after connection.
	MultishotAccept bool
	// MultishotReceive: one receive delivers buffer after buffer.
	MultishotReceive bool
	// BufferRings: receives take their buffers from a provided buffer ring.
	BufferRings bool
	// Files: it opens, examines, reads and closes files (see Files).
	Files bool
	// Restricted: the ring refuses every operation but those we use
	// (io_uring_register(2), IORING_REGISTER_RESTRICTIONS). False where a seccomp
	// profile, say, refuses to restrict it.
	Restricted bool
	// RegisteredRing: the ring's file is registered with its thread
	// (IORING_REGISTER_RING_FDS).
	RegisteredRing bool
}

// String is one line for people.
func (f Features) String() string {
	var flags, does []string
	for _, flag := range []struct {
		bit  uint32
		name string
	}{
		{setupSingleIssuer, "SINGLE_ISSUER"},
		{setupDeferTaskrun, "DEFER_TASKRUN"},
		{setupCoopTaskrun, "COOP_TASKRUN"},
	} {
		if f.SetupFlags&flag.bit != 0 {
			flags = append(flags, flag.name)
		}
	}
	for _, feature := range []struct {
		has  bool
		name string
	}{
		{f.MultishotAccept, "multishot accept"},
		{f.MultishotReceive, "multishot receive"},
		{f.BufferRings, "buffer rings"},
		{f.Files, "files"},
		{f.Restricted, "restricted"},
		{f.RegisteredRing, "registered ring"},
	} {
		if feature.has {
			does = append(does, feature.name)
		}
	}
	if !f.Restricted {
		does = append(does, "unrestricted")
	}
	return fmt.Sprintf("io_uring tier %v (%s): %s", f.Tier, strings.Join(flags, "|"), strings.Join(does, ", "))
}
