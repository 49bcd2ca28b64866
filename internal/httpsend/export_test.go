package httpsend

// Memory is what answers may have in memory at once, in bytes.
func Memory() (most int64) {
	for _, tier := range answers.tiers {
		most += tier.most * int64(cap(tier.slots))
	}
	return most
}

// OwnMemory gives a target memory of its own, and functions that use up a tier of
// it and count the slots in use.
func (p *party) OwnMemory() (use func(tier int), used func() int) {
	p.memory = newMemory()
	use = func(tier int) {
		slots := p.memory.tiers[tier].slots
		for len(slots) < cap(slots) {
			slots <- struct{}{}
		}
	}
	used = func() int {
		all := len(p.pages)
		for _, tier := range p.memory.tiers {
			all += len(tier.slots)
		}
		return all
	}
	return use, used
}
