package httpsend

import "context"

const (
	// maxAnswer is how much of an answer is read to be judged, in bytes.
	maxAnswer = 64 << 10
	// maxPage is the longest answer that a vendor's SDK gets, in bytes: a hundred
	// comments of GitHub, each of 65,536 characters, may be 26 MB.
	maxPage = 32 << 20
	// freeOfCharge is how much of an answer is not counted, in bytes: no more than
	// the buffers of its connection have. Most answers are shorter.
	freeOfCharge = 4 << 10
	// pagesOfTarget is how many answers of one target may be longer than maxAnswer
	// at once, so that a slow one does not keep the memory from all the others.
	pagesOfTarget = 2
)

// memory bounds what all answers have in memory at once. An answer that grows
// beyond freeOfCharge needs a slot of the first tier, and of each further tier that
// it grows into. Slots are acquired in this order only and one of the last tier
// is enough for a whole answer, so that answers never wait for each other in a
// circle, as they could if they shared one pool.
type memory struct{ tiers []tier }

type tier struct {
	most  int64 // how long an answer may become with a slot, in bytes
	slots chan struct{}
}

// answers is the memory of this process: 64 MiB.
var answers = newMemory()

func newMemory() *memory {
	return &memory{[]tier{
		{maxAnswer, make(chan struct{}, 256)},
		{2 << 20, make(chan struct{}, 8)},
		{maxPage, make(chan struct{}, 1)},
	}}
}

// hold is the part of the memory that one answer has.
type hold struct {
	memory *memory
	target chan struct{} // the slots of its target's pages
	held   []chan struct{}
	tiers  int // of which it has a slot
}

// grow waits until the answer may have this length.
func (h *hold) grow(ctx context.Context, w *progress, length int64) error {
	if length <= freeOfCharge {
		return nil
	}
	for h.tiers == 0 || h.memory.tiers[h.tiers-1].most < length {
		if h.tiers == 1 {
			if err := h.acquire(ctx, w, h.target); err != nil {
				return err
			}
		}
		if err := h.acquire(ctx, w, h.memory.tiers[h.tiers].slots); err != nil {
			return err
		}
		h.tiers++
	}
	return nil
}

func (h *hold) acquire(ctx context.Context, w *progress, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		h.held = append(h.held, slots)
		return nil
	default:
	}
	w.set(phaseMemory)
	select {
	case slots <- struct{}{}:
		h.held = append(h.held, slots)
		w.set(phaseReading)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release gives back every slot.
func (h *hold) release() {
	for _, slots := range h.held {
		<-slots
	}
	h.held = nil
}
