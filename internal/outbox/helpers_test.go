package outbox

import "errors"

// flush returns when everything before is written, or cannot be.
func (o *Outbox) flush() error {
	if _, err := o.read(0); err != nil && errors.Is(err, errGone) {
		return err
	}
	return nil
}

// overdue is how many changes could not be written yet.
func (o *Outbox) overdue() int {
	count := make(chan int, 1)
	o.journal.add(&ticket{kind: kindRead, settle: func(error) { count <- len(o.journal.overdue) }})
	return <-count
}
