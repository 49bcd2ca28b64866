package fluxnotifyexporter

import (
	"sync"
	"time"
)

// failureLog limits the log to one line for each object and cause a minute. The zero
// value is ready.
type failureLog struct {
	mu    sync.Mutex
	known map[failure]*logged
}

type failure struct{ object, cause string }

// logged is when a failure was logged, and how many have not been since.
type logged struct {
	at     time.Time
	silent int
}

// maxFailures bounds the failures that are remembered: senders choose the objects.
const maxFailures = 1000

// log reports whether to log a failure, and how many were not logged since the last line.
func (l *failureLog) log(object, cause string) (since int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	key := failure{object, cause}
	last := l.known[key]
	switch {
	case last == nil:
		l.add(key, now)
		return 0, true
	case now.Sub(last.at) < silence:
		last.silent++
		return 0, false
	}
	since = last.silent
	*last = logged{at: now}
	return since, true
}

func (l *failureLog) add(key failure, now time.Time) {
	if l.known == nil || len(l.known) >= maxFailures {
		l.known = map[failure]*logged{}
	}
	l.known[key] = &logged{at: now}
}
