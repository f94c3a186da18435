//go:build linux

package httpcore

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestContractTableIsComplete: CONTRACT.md names every exported field and method
// of fasthttp.Server, which httpcore.Server has too, and every method of
// RequestCtx, nothing else, and only tests that exist.
func TestContractTableIsComplete(t *testing.T) {
	text, err := os.ReadFile("CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")
	if len(sections) != 5 {
		t.Fatalf("CONTRACT.md has %d sections", len(sections)-1)
	}
	tests := map[string]bool{}
	files, _ := filepath.Glob("*_test.go")
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllStringSubmatch(string(source), -1) {
			tests[m[1]] = true
		}
	}
	compare := func(what, section string, want []string) {
		named := map[string]bool{}
		for _, row := range strings.Split(section, "\n") {
			cells := strings.Split(row, "|")
			if len(cells) != 5 || strings.HasPrefix(row, "|--") || strings.Contains(row, "| tested by |") {
				continue
			}
			for _, n := range strings.Split(cells[1], ",") {
				named[strings.TrimSpace(n)] = true
			}
			for _, test := range strings.Split(cells[3], ",") {
				if test = strings.TrimSpace(test); !tests[test] {
					t.Errorf("%s: there is no test %q", strings.TrimSpace(cells[1]), test)
				}
			}
		}
		if want == nil {
			return
		}
		for _, n := range want {
			if !named[n] {
				t.Errorf("%s %s is not in the table", what, n)
			}
			delete(named, n)
		}
		for n := range named {
			t.Errorf("fasthttp has no %s %s", what, n)
		}
	}
	var names []string
	server := reflect.TypeFor[fasthttp.Server]()
	for i := range server.NumField() {
		if f := server.Field(i); f.IsExported() {
			names = append(names, f.Name)
		}
	}
	compare("field", sections[1], names)
	methods := func(t reflect.Type) (names []string) {
		for i := range t.NumMethod() {
			names = append(names, t.Method(i).Name)
		}
		return names
	}
	compare("method", sections[2], methods(reflect.TypeFor[*fasthttp.RequestCtx]()))
	theirs := methods(reflect.TypeFor[*fasthttp.Server]())
	compare("method", sections[3], theirs)
	compare("finding", sections[4], nil) // only that its tests exist
	ours := methods(reflect.TypeFor[*Server]())
	for _, name := range theirs {
		if !slices.Contains(ours, name) {
			t.Errorf("httpcore.Server has no method %s", name)
		}
	}
}
