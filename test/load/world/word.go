package world

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgx/v5"
)

// vocabulary is how many words the seeded notes are made of.
const vocabulary = 20_000

// Word is the n-th most frequent word of the seeded notes: six letters, none the beginning of another, so that what finds one finds no other.
func Word(n int) string {
	const consonants, vowels = "bcdfghklmnprstv", "aeiou"
	const syllables = len(consonants) * len(vowels)
	x := n * 100_003 % (syllables * syllables * syllables) // neighbours do not look alike, as trigrams are what titles are indexed by
	var b strings.Builder
	for range 3 {
		b.WriteByte(consonants[x%syllables%len(consonants)])
		b.WriteByte(vowels[x%syllables/len(consonants)])
		x /= syllables
	}
	return b.String()
}

// phrases are of so many words each, few of them frequent and most of them rare.
func phrases(random *rand.Rand, count, words int) []string {
	all := make([]string, count)
	for i := range all {
		some := make([]string, words)
		for k := range some {
			some[k] = Word(int(vocabulary * math.Pow(random.Float64(), 4)))
		}
		all[i] = strings.Join(some, " ")
	}
	return all
}

// phraseCount is how many phrases of each kind there are. A body is four of ten words, a title two of two.
const phraseCount = 10_000

// prepareTexts makes the tables that deal takes its texts from. They are the connection's own.
func prepareTexts(ctx context.Context, conn *pgx.Conn) error {
	random := rand.New(rand.NewPCG(7, 7)) // the same notes each time
	for table, words := range map[string]int{"long_phrase": 10, "short_phrase": 2} {
		_, err := conn.Exec(ctx, `create temporary table `+table+` as select p::int, text from unnest($1::text[]) with ordinality as x (text, p)`,
			phrases(random, phraseCount, words))
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `analyze `+table); err != nil {
			return err
		}
	}
	return nil
}
