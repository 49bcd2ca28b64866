package notify

import "sync"

// Memory is what a provider knows beyond its own life: rotated secrets make a
// successor, which finds in it what the predecessor has kept, and shares it with
// deliveries that still end there.
type Memory struct {
	mu   sync.Mutex
	kept any
}

// Keep gives what is kept, or keeps what create makes. A provider without a
// memory knows what it learns itself.
func (m *Memory) Keep(create func() any) any {
	if m == nil {
		return create()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = create()
	}
	return m.kept
}
