package argon2id

// Occupy takes a turn and keeps it until the function it returns is called.
func (h *Hasher) Occupy() (release func()) {
	h.turns <- struct{}{}
	return func() { <-h.turns }
}
