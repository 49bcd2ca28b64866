package text

// Pair is one entry of metadata in a message that has a limit.
type Pair struct {
	Key, Value Part
	// Whole marks a value that is shortened last of all.
	Whole bool
}

// Entry is a Pair as it is sent.
type Entry struct{ Key, Value string }

// Layout is the room that a message has for its text and its metadata.
type Layout struct {
	// Size measures, in the unit of the rest.
	Size Size
	// Total is the limit of all.
	Total int
	// Each is what the message adds to every pair: separators, quotes.
	Each int
	// LeastText is what the metadata leaves of a long text.
	LeastText int
	// LeastValue is what is left of a long value: at least 1. A pair for which
	// there is not even that room is left out.
	LeastValue int
}

// Fit renders a text and pairs. The text is shortened first; then the longest
// values, all to the same length; and where there are too many pairs even so,
// the last of them are left out, since a cut key would be another key.
func (l Layout) Fit(message Part, pairs []Pair) (string, []Entry) {
	rendered := message.Render(l.Size)
	used := l.Size(rendered)
	entries := l.fitPairs(pairs, l.Total-min(used, l.LeastText))
	room := l.Total
	for _, e := range entries {
		room -= l.Size(e.Key) + l.Size(e.Value) + l.Each
	}
	if used > room {
		message.Limit = max(room, 1) // 0 would be no limit
		rendered = message.Render(l.Size)
	}
	return rendered, entries
}

func (l Layout) fitPairs(pairs []Pair, total int) []Entry {
	entries := make([]Entry, len(pairs))
	sum := 0
	for i, p := range pairs {
		entries[i] = Entry{Key: p.Key.Render(l.Size), Value: p.Value.Render(l.Size)}
		sum += l.Size(entries[i].Key) + l.Size(entries[i].Value) + l.Each
	}
	if sum <= total {
		return entries
	}
	keep := make([]bool, len(pairs))
	for i, p := range pairs {
		if p.Whole {
			keep[i], total = l.keepWhole(p, &entries[i], total)
		}
	}
	var values []string
	share := 0 // what the values have, once every pair that stays has its least
	for i, p := range pairs {
		least := min(l.Size(entries[i].Value), l.LeastValue)
		need := l.Size(entries[i].Key) + l.Each + least
		if p.Whole || need > total {
			continue
		}
		keep[i] = true
		total -= need
		share += least
		values = append(values, entries[i].Value)
	}
	limit := level(values, l.Size, total+share)
	kept := entries[:0]
	for i, p := range pairs {
		if !keep[i] {
			continue
		}
		if !p.Whole && l.Size(entries[i].Value) > limit {
			p.Value.Limit = limit
			entries[i].Value = p.Value.Render(l.Size)
		}
		kept = append(kept, entries[i])
	}
	return kept
}

// keepWhole takes the room of a pair away, and cuts its value only where there
// is less room than that.
func (l Layout) keepWhole(p Pair, e *Entry, total int) (kept bool, left int) {
	room := total - l.Size(e.Key) - l.Each
	if room < min(l.Size(e.Value), l.LeastValue) {
		return false, total
	}
	if l.Size(e.Value) > room {
		p.Value.Limit = room
		e.Value = p.Value.Render(l.Size)
	}
	return true, room - l.Size(e.Value)
}
