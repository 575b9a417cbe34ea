package console

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
)

func listFlags(o *options, f *flag.FlagSet) {
	f.StringVar(&o.consumer, "consumer", "", "only what this consumer gave up, such as note-search")
	f.Uint64Var(&o.from, "from", 0, "from this number on")
	f.IntVar(&o.limit, "limit", 100, "at most so many")
}

func showFlags(o *options, f *flag.FlagSet) {
	f.BoolVar(&o.payload, "payload", false, "what the event holds, too: it may be what people wrote")
}

func replayFlags(o *options, f *flag.FlagSet) {
	f.BoolVar(&o.all, "all", false, "all that are listed now")
	f.StringVar(&o.consumer, "consumer", "", "with --all, only what this consumer gave up")
}

func list(ctx context.Context, s *session) error {
	if s.limit < 1 {
		return misused("--limit %d: it should be 1 or more", s.limit)
	}
	letters, err := s.letters(ctx, s.limit+1)
	if err != nil {
		return err
	}
	var more uint64
	if len(letters) > s.limit {
		more, letters = letters[s.limit].GetNumber(), letters[:s.limit]
	}
	if s.format == "json" {
		return printList(s.out, letters)
	}
	if len(letters) == 0 {
		say(s.out, "There are no dead letters.\n")
		return nil
	}
	t := newTable("NUMBER", "CONSUMER", "EVENT", "ID", "PARKED", "TRIES", "TRACE", "REASON")
	for _, l := range letters {
		t.row(l.GetNumber(), l.GetConsumer(), l.GetEventType(), l.GetEventId(), clock(l.GetParkedAt()), l.GetAttempts(), l.GetTraceId(), short(l.GetReason()))
	}
	t.print(s.out)
	if more > 0 {
		say(s.out, "There are more: --from %d shows them.\n", more)
	}
	return nil
}

// letters is at most limit of all targets' dead letters, the oldest first; limit 0 is all.
func (s *session) letters(ctx context.Context, limit int) ([]*adminv1.DeadLetter, error) {
	found, err := ask(s, func(t target) ([]*adminv1.DeadLetter, error) { return s.lettersOf(ctx, t, limit) })
	if err != nil {
		return nil, err
	}
	all := slices.Concat(found...)
	slices.SortFunc(all, func(a, b *adminv1.DeadLetter) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

func (s *session) lettersOf(ctx context.Context, t target, limit int) (all []*adminv1.DeadLetter, err error) {
	const page = 500
	from := s.from
	for {
		req := &adminv1.ListDeadLettersRequest{Consumer: s.consumer, From: from, Limit: page}
		if limit > 0 {
			req.Limit = int32(min(limit-len(all), page)) //nolint:gosec // bounded
		}
		res, err := t.ListDeadLetters(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, err
		}
		all = append(all, res.Msg.GetDeadLetters()...)
		from = res.Msg.GetNext()
		if from == 0 || limit > 0 && len(all) >= limit {
			return all, nil
		}
	}
}

func show(ctx context.Context, s *session) error {
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	if len(numbers) > 1 {
		return misused("one at a time")
	}
	found, err := ask(s, func(t target) (*adminv1.DeadLetter, error) {
		return message(t.GetDeadLetter(ctx, connect.NewRequest(&adminv1.GetDeadLetterRequest{Number: numbers[0], WithData: s.payload})))
	})
	if err != nil {
		return fmt.Errorf("%d: %w", numbers[0], err)
	}
	if s.format == "json" {
		return printJSON(s.out, found[0])
	}
	s.describe(found[0])
	return nil
}

func (s *session) describe(l *adminv1.DeadLetter) {
	t := newTable()
	t.row("Number", l.GetNumber())
	t.row("Consumer", l.GetConsumer())
	t.row("Event", l.GetEventType()+" "+l.GetEventId())
	t.row("Workspace", l.GetWorkspaceId())
	t.row("Key", l.GetKey())
	t.row("Occurred", clock(l.GetOccurredAt()))
	t.row("From", fmt.Sprintf("stream %s, message %d", l.GetStream(), l.GetStreamSequence()))
	t.row("Parked", clock(l.GetParkedAt()))
	t.row("Tries", l.GetAttempts())
	t.row("Trace", l.GetTraceId())
	t.row("Reason", l.GetReason())
	if l.GetMalformed() != "" {
		t.row("Malformed", l.GetMalformed())
	}
	payload := fmt.Sprintf("%d bytes, not shown: --payload does, and may show what people wrote", l.GetDataBytes())
	if s.payload {
		payload = string(l.GetData())
	}
	t.row("Payload", payload)
	t.print(s.out)
}

func replay(ctx context.Context, s *session) error {
	numbers, err := s.chosen(ctx)
	if err != nil {
		return err
	}
	err = s.settle(numbers, "replayed", func(t target, n uint64) (*adminv1.DeadLetter, error) {
		return message(t.ReplayDeadLetter(ctx, connect.NewRequest(&adminv1.ReplayDeadLetterRequest{Number: n})))
	})
	if err == nil && s.format == "table" && len(numbers) > 0 {
		say(s.out, "What fails again is listed again, as a new dead letter: noteworks dlq ls\n")
	}
	return err
}

// chosen is the dead letters to replay. All are those that are there now: one that fails again meanwhile is not replayed for ever.
func (s *session) chosen(ctx context.Context) ([]uint64, error) {
	switch {
	case !s.all && s.consumer != "":
		return nil, misused("--consumer goes with --all")
	case !s.all:
		return s.numbers()
	case len(s.words) > 0:
		return nil, misused("numbers or --all, not both")
	}
	letters, err := s.letters(ctx, 0)
	if err != nil {
		return nil, err
	}
	if len(letters) == 0 && s.format == "table" {
		say(s.out, "There are no dead letters.\n")
	}
	var numbers []uint64
	for _, l := range letters {
		numbers = append(numbers, l.GetNumber())
	}
	return numbers, nil
}

func discard(ctx context.Context, s *session) error {
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	return s.settle(numbers, "discarded", func(t target, n uint64) (*adminv1.DeadLetter, error) {
		return message(t.DiscardDeadLetter(ctx, connect.NewRequest(&adminv1.DiscardDeadLetterRequest{Number: n})))
	})
}

// settle does one after the other, and tells in the end of those that it could not be done with.
func (s *session) settle(numbers []uint64, verb string, do func(target, uint64) (*adminv1.DeadLetter, error)) error {
	var (
		settled []*adminv1.DeadLetter
		wrong   []error
	)
	for _, n := range numbers {
		found, err := ask(s, func(t target) (*adminv1.DeadLetter, error) { return do(t, n) })
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%d: %w", n, err))
			continue
		}
		settled = append(settled, found...)
	}
	if s.format == "json" {
		return errors.Join(append(wrong, printList(s.out, settled))...)
	}
	for _, l := range settled {
		say(s.out, "%s %d: %s %s, of %s\n", verb, l.GetNumber(), printable(l.GetEventType()), printable(l.GetEventId()), l.GetConsumer())
	}
	return errors.Join(wrong...)
}

// message is what a call answered.
func message[M any](res *connect.Response[M], err error) (*M, error) {
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}
