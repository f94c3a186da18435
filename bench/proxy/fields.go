package main

import (
	"iter"
	"strings"
)

// fieldNames returns the names in the value of a Connection field, but the
// options that are no fields.
func fieldNames(connection []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(string(connection), ",") {
			name = strings.TrimSpace(name)
			if name == "" || strings.EqualFold(name, "close") || strings.EqualFold(name, "keep-alive") {
				continue
			}
			if !yield(name) {
				return
			}
		}
	}
}
