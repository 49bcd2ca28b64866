package outbox

import "time"

// Digest identifies a record, so that a sender's repetition is recognised. The zero
// Digest identifies none.
type Digest [16]byte

const (
	// recentTime is how long a record is remembered.
	recentTime = 10 * time.Minute
	// maxRecent is how many records are remembered.
	maxRecent = 100_000
)

// recent remembers the records that were accepted. Its map and its ring hold no
// pointers, which spares the garbage collector a scan.
type recent struct {
	began  time.Time // expiry counts from it, so that a step of the wall clock does not matter
	known  map[Digest]uint64
	ring   []remembered // place n is at n % len(ring)
	oldest uint64
	next   uint64
}

type remembered struct {
	digest  Digest
	expires time.Duration
}

func newRecent() *recent {
	return &recent{began: time.Now(), known: map[Digest]uint64{}}
}

func (r *recent) has(d Digest) bool {
	r.expire()
	_, known := r.known[d]
	return known
}

func (r *recent) add(d Digest) {
	if d == (Digest{}) {
		return
	}
	if n := int(r.next - r.oldest); n == maxRecent {
		r.drop()
	} else if n == len(r.ring) {
		r.grow()
	}
	r.ring[r.next%uint64(len(r.ring))] = remembered{digest: d, expires: time.Since(r.began) + recentTime}
	r.known[d] = r.next
	r.next++
}

func (r *recent) grow() {
	grown := make([]remembered, min(max(64, 2*len(r.ring)), maxRecent))
	for place := r.oldest; place < r.next; place++ {
		grown[place%uint64(len(grown))] = r.ring[place%uint64(len(r.ring))]
	}
	r.ring = grown
}

func (r *recent) expire() {
	now := time.Since(r.began)
	for r.oldest < r.next && r.ring[r.oldest%uint64(len(r.ring))].expires <= now {
		r.drop()
	}
}

func (r *recent) drop() {
	digest := r.ring[r.oldest%uint64(len(r.ring))].digest
	if r.known[digest] == r.oldest {
		delete(r.known, digest)
	}
	r.oldest++
}
