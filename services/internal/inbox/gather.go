package inbox

import "reflect"

// Gather puts a handler's work off to the end of its transaction, where do is called once with all that was gathered of the same type, in the
// order of the events; what does the same for many notes does it in one statement. All of it is of one workspace, which tx is then in;
// tx.Event is the last that gave. Its error is that of every event in the transaction, as if each had returned it.
func Gather[T any](tx Tx, one T, do func(tx Tx, all []T) error) {
	kind := reflect.TypeFor[T]()
	g, known := tx.gathered.byKind[kind].(*gathering[T])
	if !known {
		g = &gathering[T]{do: do}
		tx.gathered.add(kind, g)
	}
	g.last = tx
	g.all = append(g.all, one)
}

// gathering is what was gathered of one type.
type gathering[T any] struct {
	all  []T
	last Tx
	do   func(Tx, []T) error
}

func (g *gathering[T]) finish() error { return g.do(g.last, g.all) }

// gathered is what one transaction has put off.
type gathered struct {
	byKind map[reflect.Type]interface{ finish() error }
	order  []reflect.Type
}

func (g *gathered) add(kind reflect.Type, one interface{ finish() error }) {
	if g.byKind == nil {
		g.byKind = map[reflect.Type]interface{ finish() error }{}
	}
	g.byKind[kind] = one
	g.order = append(g.order, kind)
}

// finish does what was put off, and forgets it.
func (g *gathered) finish() error {
	for _, kind := range g.order {
		if err := g.byKind[kind].finish(); err != nil {
			return err
		}
	}
	*g = gathered{}
	return nil
}
