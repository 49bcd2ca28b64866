package main

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// fine takes everything.
func fine(http.ResponseWriter, *http.Request, int64) bool { return true }

// after takes everything, in its own time.
func after(d time.Duration) mood {
	return func(_ http.ResponseWriter, r *http.Request, _ int64) bool {
		pause(r.Context(), d)
		return r.Context().Err() == nil
	}
}

// uneven is an endpoint on a common day: it takes a while, and one request in
// seven meets a gateway that is just being replaced.
func uneven(w http.ResponseWriter, r *http.Request, n int64) bool {
	if n%7 == 0 {
		w.WriteHeader(http.StatusBadGateway)
		return false
	}
	return after(20*time.Millisecond)(w, r, n)
}

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request, _ int64) bool {
	<-r.Context().Done()
	return false
}

// answering refuses with a status code; retryAfter may be empty.
func answering(status int, retryAfter string) mood {
	return func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		return false
	}
}

// half breaks off in its answer: in the head, or in the body after a head that
// says that the event was taken.
func half(w http.ResponseWriter, _ *http.Request, n int64) bool {
	if n%2 == 0 {
		return !raw(w, "HTTP/1.1 200 OK\r\nContent-Le")
	}
	return raw(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it")
}

// garbage answers what is no HTTP.
func garbage(random *rand.Rand) mood {
	noise := make([]byte, 512)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
		return !raw(w, string(noise))
	}
}

// closing closes one connection in three without an answer.
func closing(w http.ResponseWriter, _ *http.Request, n int64) bool {
	return n%3 != 0 || !raw(w, "")
}

// raw writes to the connection itself, and closes it.
func raw(w http.ResponseWriter, text string) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // HTTP/1 alone is spoken here
	}
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
	return true
}
