package httpcore

import (
	"runtime"
	"testing"
	"time"
)

const now = int64(time.Hour)

const quickAnswer, slowAnswer = int64(5 * time.Microsecond), int64(50 * time.Millisecond)

func newRoutes() *routes {
	rs := new(routes)
	rs.init()
	return rs
}

func (rs *routes) get(path string) *route { return rs.at(routeHash([]byte("GET"), []byte(path))) }

func TestRouteProvesItself(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for n := range firstDebt {
		if r.quick() {
			t.Fatalf("quick after %d answers", n)
		}
		rs.note(r, quickAnswer, now)
	}
	if !r.quick() {
		t.Fatal("not quick after as many quick answers as it owed")
	}
	if rs.get("/b").debt >= firstDebt {
		t.Error("newcomers owe as much as the first one")
	}
}

func TestSlowRouteStaysAwayAndComesBack(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range 100 {
		rs.note(r, quickAnswer, now)
	}
	if rs.note(r, slowAnswer, now); !r.quick() {
		t.Fatal("one slow answer is not forgiven")
	}
	if rs.note(r, slowAnswer, now+forgiving); r.quick() {
		t.Fatal("quick after two slow answers")
	}
	for range slowDebt - 1 {
		rs.note(r, quickAnswer, now)
	}
	if r.quick() {
		t.Fatal("quick before its debt is paid")
	}
	rs.note(r, quickAnswer, now)
	if !r.quick() {
		t.Fatal("it does not come back")
	}
	for range 10000 {
		rs.note(r, slowAnswer, now)
	}
	if r.debt != maxDebt {
		t.Fatalf("debt %d, want it bounded by %d", r.debt, maxDebt)
	}
}

// One answer in a hundred is slow: never on the loop.
func TestRouteThatIsSlowNowAndThen(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	rs.note(r, slowAnswer, now)
	rs.note(r, slowAnswer, now)
	for i := range 10000 {
		d := quickAnswer
		if i%100 == 99 {
			d = slowAnswer
		}
		if r.quick() {
			t.Fatalf("quick at answer %d", i)
		}
		rs.note(r, d, now)
	}
}

// Many answers that are each a little long hold a loop up as well.
func TestRouteThatIsSlowOnAverage(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range 100 {
		rs.note(r, int64(300*time.Microsecond), now)
	}
	if r.quick() {
		t.Fatal("quick with 300 µs an answer")
	}
}

// A slow answer every few seconds costs no more than the credit.
func TestSlowAnswersAreForgiven(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range firstDebt + maxCredit {
		rs.note(r, quickAnswer, now)
	}
	for i := range 10 {
		if rs.note(r, slowAnswer, now+int64(i+1)*(forgiving+1)); !r.quick() {
			t.Fatalf("the slow answer of second %d is not forgiven", i)
		}
		for range maxCredit {
			rs.note(r, quickAnswer, now)
		}
	}
}

// A debt is forgiven a second after the last slow answer, but not while handlers
// block.
func TestDebtIsForgiven(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	rs.note(r, slowAnswer, now)
	rs.note(r, slowAnswer, now)
	r.holding = 1
	for range 2 * firstDebt {
		rs.note(r, quickAnswer, now+forgiving+1)
	}
	if r.debt < slowDebt/2 {
		t.Fatal("forgiven while a handler blocks")
	}
	r.returned()
	for range firstDebt {
		if r.quick() {
			t.Fatal("quick before it has proved so again")
		}
		rs.note(r, quickAnswer, now+forgiving+1)
	}
	if !r.quick() {
		t.Fatal("the debt is not forgiven")
	}
}

// Two handlers that block at the same time send the route away before they return.
func TestRouteThatBlocks(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range firstDebt {
		rs.note(r, quickAnswer, now)
	}
	if r.blocked(now); !r.quick() {
		t.Fatal("not quick when one handler blocks")
	}
	r.returned()
	if r.blocked(now); !r.quick() {
		t.Fatal("not quick when one handler blocks after another")
	}
	if r.blocked(now); r.quick() {
		t.Fatal("quick when two handlers block")
	}
	r.returned()
	r.returned()
	r.returned()
	if r.holding != 0 {
		t.Fatalf("%d handlers block after all have returned", r.holding)
	}
	(*route)(nil).blocked(now)
	(*route)(nil).returned()
}

// A quick route may take a little longer now and then, but not often.
func TestRouteHasCredit(t *testing.T) {
	longer := int64(900 * time.Microsecond)
	rs := newRoutes()
	r := rs.get("/a")
	for range firstDebt + 2*maxCredit {
		rs.note(r, quickAnswer, now)
	}
	for range 1000 {
		if rs.note(r, longer, now); !r.quick() {
			t.Fatal("away from the loop after an answer in a hundred that took a little longer")
		}
		for range 99 {
			rs.note(r, quickAnswer, now)
		}
	}
	for range 4 {
		rs.note(r, longer, now)
	}
	if r.quick() {
		t.Fatal("on the loop after four answers in a row that took longer")
	}
	if rs.get("/b").debt < 0 {
		t.Fatal("a newcomer has credit")
	}
}

// Not every handler of a quick route is timed, but every one of another.
func TestGlances(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range firstDebt + maxCredit {
		if !rs.wants(r) {
			t.Fatalf("a handler is not timed with a debt of %d", r.debt)
		}
		rs.note(r, quickAnswer, now)
	}
	timed := 0
	for range 10 * glance {
		if rs.wants(r) {
			timed++
		}
	}
	if timed != 10 {
		t.Errorf("%d of %d are timed, want one in %d", timed, 10*glance, glance)
	}
	if rs.note(r, slowAnswer, now); !rs.wants(r) {
		t.Error("not timed after a slow answer")
	}
	if rs.wants(nil) {
		t.Error("what has no route is timed")
	}
}

func TestGarbageCollectionIsExcusedOnce(t *testing.T) {
	rs := newRoutes()
	r := rs.get("/a")
	for range 100 {
		rs.note(r, quickAnswer, now)
	}
	held := int64(3 * time.Millisecond)
	rs.gc.passed()
	runtime.GC()
	if rs.note(r, held, now); !r.quick() {
		t.Fatal("what the collector did is held against the route")
	}
	// Unless the test's own garbage brings about another one just now.
	if rs.note(r, held, now); r.quick() {
		rs.note(r, held, now)
	}
	if r.quick() {
		t.Fatal("excused without a collection")
	}
	runtime.GC()
	if rs.note(r, slowAnswer, now); r.debt < slowDebt {
		t.Fatal("50 ms are excused")
	}
}

func TestRouteHash(t *testing.T) {
	rs := newRoutes()
	if rs.get("/user/1/posts") != rs.get("/user/29876/posts") {
		t.Error("numbers make routes of their own")
	}
	for _, other := range []string{"/user/1/post", "/user//posts", "/"} {
		if routeHash([]byte("GET"), []byte(other)) == routeHash([]byte("GET"), []byte("/user/1/posts")) {
			t.Errorf("%s has the same hash", other)
		}
	}
	if routeHash([]byte("GET"), []byte("/a")) == routeHash([]byte("POST"), []byte("/a")) {
		t.Error("methods do not count")
	}
}
