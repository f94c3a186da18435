module github.com/ringcore/ringcore/bench/compat

go 1.26.0

require (
	github.com/ringcore/ringcore v0.0.0
	golang.org/x/net v0.61.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/ringcore/ringcore => ../..
