package seccomp

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Profile is what Docker, containerd and Kubernetes read: seccomp of the OCI
// runtime specification, as far as ringcore's profile and the tests use it.
type Profile struct {
	DefaultAction   Action   `json:"defaultAction"`
	DefaultErrnoRet uint32   `json:"defaultErrnoRet,omitempty"`
	Architectures   []string `json:"architectures"`
	Syscalls        []Rule   `json:"syscalls"`
}

// A Rule says what happens to some system calls. The first rule that fits a
// call wins.
type Rule struct {
	Comment  string   `json:"comment,omitempty"`
	Names    []string `json:"names"`
	Action   Action   `json:"action"`
	ErrnoRet uint32   `json:"errnoRet,omitempty"` // with ActErrno
	Args     []Arg    `json:"args,omitempty"`     // all of them have to fit
}

// An Arg compares one argument of a system call.
type Arg struct {
	Index    uint32 `json:"index"` // 0 to 5
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       Op     `json:"op"`
}

// An Op is a comparison.
type Op string

// The comparisons.
const (
	Equal       Op = "SCMP_CMP_EQ"        // the argument is Value
	MaskedEqual Op = "SCMP_CMP_MASKED_EQ" // its bits in Value are those of ValueTwo
)

// An Action is what a filter does with a call.
type Action string

// The actions.
const (
	ActAllow Action = "SCMP_ACT_ALLOW"
	ActErrno Action = "SCMP_ACT_ERRNO" // it fails, with EPERM or ErrnoRet
	ActTrap  Action = "SCMP_ACT_TRAP"  // it raises SIGSYS: a Go program prints its stacks, and the call's number in rax
)

//go:embed ringcore.json
var ringcore []byte

// Ringcore returns the profile that ringcore ships.
func Ringcore() (Profile, error) { return Parse(ringcore) }

// Parse reads a profile.
func Parse(file []byte) (Profile, error) {
	var p Profile
	if err := json.Unmarshal(file, &p); err != nil {
		return p, fmt.Errorf("seccomp: %w", err)
	}
	return p, nil
}

// Names returns the names that some rule allows, in the profile's order.
func (p *Profile) Names() []string {
	var names []string
	for _, r := range p.Syscalls {
		if r.Action == ActAllow {
			names = append(names, r.Names...)
		}
	}
	return names
}

// Systemd returns the profile as lines of a unit: by name only, without the
// conditions on arguments.
func (p *Profile) Systemd() string {
	return fmt.Sprintf("SystemCallArchitectures=native\nSystemCallErrorNumber=ENOSYS\nSystemCallFilter=%s\n",
		strings.Join(slices.Compact(p.Names()), " "))
}

// Deny returns a profile that allows everything but the calls of the rules.
func Deny(rules ...Rule) Profile {
	return Profile{DefaultAction: ActAllow, Syscalls: rules}
}
