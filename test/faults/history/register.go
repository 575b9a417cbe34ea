package history

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// searchLimit bounds the search for an order; a history that follows the rules is found to within milliseconds.
const searchLimit = 20 * time.Second

// register is a note: a version, and what it says.
type register struct {
	version int
	body    string
}

// question is one operation on a register: a read, or a write at an expected version.
type question struct {
	write    bool
	expected int
	body     string
}

type answer struct {
	outcome Outcome
	seen    register // the new state of an acknowledged write, the one in the way of a refused one, the one that was read
}

// model is a register that takes a write at its own version only, and counts. A write of unknown outcome takes effect if the register is at its
// version when its turn comes, and none otherwise; its turn may come at any time after it began.
func model(begin register) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return begin },
		Step: func(state, input, output any) (bool, any) {
			now, asked, got := state.(register), input.(question), output.(answer) //nolint:errcheck // made below, nowhere else
			done := register{now.version + 1, asked.body}
			switch {
			case !asked.write:
				return got.seen == now, now
			case got.outcome == Acknowledged:
				return now.version == asked.expected && got.seen == done, done
			case got.outcome == Refused:
				return now.version != asked.expected && got.seen == now, now
			case now.version == asked.expected:
				return true, done
			}
			return true, now
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
}

// linearizable says whether there is an order of what was done to a note in which every answer is right and which contradicts no clock.
func linearizable(begin register, writes []Write, reads []Read) bool {
	seen := witnesses(writes, reads)
	var ops []porcupine.Operation
	for _, w := range writes {
		end := int64(w.End)
		if w.Outcome == Unknown {
			// One that nobody has ever seen the effect of is left out: to write on top of it, somebody would have had to see its version. One that
			// was seen had happened by then.
			at, witnessed := seen[w.Body]
			if !witnessed {
				continue
			}
			end = max(at, int64(w.Begin))
		}
		state := register{w.Version, w.Current}
		if w.Outcome == Acknowledged {
			state.body = w.Body
		}
		ops = append(ops, porcupine.Operation{
			ClientId: w.Client, Input: question{true, w.Expected, w.Body}, Call: int64(w.Begin), Output: answer{w.Outcome, state}, Return: end,
		})
	}
	for _, r := range reads {
		ops = append(ops, porcupine.Operation{
			ClientId: r.Client, Input: question{}, Call: int64(r.Begin), Output: answer{seen: register{r.Version, r.Body}}, Return: int64(r.End),
		})
	}
	return porcupine.CheckOperationsTimeout(model(begin), ops, searchLimit) == porcupine.Ok
}

// witnesses is when each body was first known to be there: the end of the first answer that holds it.
func witnesses(writes []Write, reads []Read) map[string]int64 {
	first := map[string]int64{}
	saw := func(body string, at time.Duration) {
		before, known := first[body]
		if !known {
			before = math.MaxInt64
		}
		first[body] = min(before, int64(at))
	}
	for _, w := range writes {
		if w.Outcome == Refused {
			saw(w.Current, w.End)
		}
	}
	for _, r := range reads {
		saw(r.Body, r.End)
	}
	return first
}
