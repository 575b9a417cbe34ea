package world

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Seed fills workspaces with notes that all belong to one person each, some of them shared with another.
type Seed struct {
	// Count is how many notes; they are dealt to the workspaces in turn.
	Count int
	// Workspaces have an owner and a reader each, who sees every ReaderSees-th note.
	Workspaces []Team
	ReaderSees int
}

// Team is a workspace and two of its people.
type Team struct {
	Workspace
	Owner, Reader Person
}

// chunk is how many notes are made in one transaction.
const chunk = 50_000

// document is the search document of a note of words in small letters, and what the service makes of it: that they are the same is checked with the first note.
const document = `setweight(to_tsvector('simple', s.title), 'A') || setweight(to_tsvector('simple', s.tag), 'B') || setweight(to_tsvector('simple', s.body), 'C')`

// Fill makes the notes: the first through the API, the others as rows like those that the service made of it, in all of its tables, the search index
// included. The two indexes of the search are built afterwards when there is much, as a restored database's are.
func (w *World) Fill(ctx context.Context, s Seed) error {
	first := s.Workspaces[0]
	like, err := w.Write(first.Owner, Word(1)+" "+Word(2), Word(3)+" "+Word(1)+" "+Word(4), "t1")
	if err != nil {
		return err
	}
	if err := w.Share(first.Owner, like.ID, first.Reader); err != nil {
		return err
	}
	return w.in(ctx, notes, func(conn *pgx.Conn) error {
		if err := w.alike(ctx, conn, like.ID); err != nil {
			return err
		}
		if err := prepareTexts(ctx, conn); err != nil {
			return err
		}
		rebuild := func() error { return nil }
		if s.Count > chunk {
			if rebuild, err = dropSearch(ctx, conn); err != nil {
				return err
			}
		}
		for made := 0; made < s.Count; made += chunk {
			if err := deal(ctx, conn, s, like.ID, made, min(chunk, s.Count-made)); err != nil {
				return fmt.Errorf("make notes: %w", err)
			}
		}
		return rebuild()
	})
}

// alike waits for the service to have indexed the note, and holds its document against the one that the seed would make.
func (w *World) alike(ctx context.Context, conn *pgx.Conn, note string) error {
	if err := appears(ctx, conn, `select exists (select from note_search where note_id = $1)`, note); err != nil {
		return err
	}
	var same bool
	err := conn.QueryRow(ctx, `
select t.doc = (`+document+`) and t.title = s.title
from note_search t, (select title, body, tags ->> 0 as tag from notes where id = $1) s where t.note_id = $1`, note).Scan(&same)
	if err == nil && !same {
		err = fmt.Errorf("the seed's search documents are not like the service's any more")
	}
	return err
}

func dropSearch(ctx context.Context, conn *pgx.Conn) (rebuild func() error, err error) {
	rows, err := conn.Query(ctx, `select indexname, indexdef from pg_indexes where tablename = 'note_search' and indexdef ilike '%using gin%'`)
	if err != nil {
		return nil, err
	}
	type index struct{ Name, Definition string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if _, err := conn.Exec(ctx, "drop index "+pgx.Identifier{i.Name}.Sanitize()); err != nil {
			return nil, err
		}
	}
	return func() error {
		if _, err := conn.Exec(ctx, `set maintenance_work_mem = '1GB'`); err != nil {
			return err
		}
		for _, i := range all {
			if _, err := conn.Exec(ctx, i.Definition); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// deal makes the notes from begin on, count of them.
func deal(ctx context.Context, conn *pgx.Conn, s Seed, like string, begin, count int) error {
	var spaces, owners, readers []string
	for _, t := range s.Workspaces {
		spaces, owners, readers = append(spaces, t.ID), append(owners, t.Owner.ID), append(readers, t.Reader.ID)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // after a commit it does nothing
	_, err = tx.Exec(ctx, `
create temporary table seed on commit drop as
with picked as (select i, k, 1 + floor(random() * $7)::int as p from generate_series($1::int, $1::int + $2::int - 1) i, generate_series(1, 6) k),
	bodies as (select i, string_agg(text, ' ') as body from picked join long_phrase using (p) where k <= 4 group by i),
	titles as (select i, string_agg(text, ' ') as title from picked join short_phrase using (p) where k > 4 group by i)
select i, uuidv7() as id, 't' || i % 50 as tag, ($4::uuid[])[1 + i % $3] as workspace, ($5::uuid[])[1 + i % $3] as owner, ($6::uuid[])[1 + i % $3] as reader,
	title, body, now() - make_interval(secs => i * 20) as at
from bodies join titles using (i) order by i`, begin, count, len(spaces), spaces, owners, readers, phraseCount)
	if err != nil {
		return err
	}
	note := map[string]string{"workspace_id": "s.workspace", "note_id": "s.id", "created_at": "s.at"}
	for _, c := range []struct {
		table, like, of string
		set             map[string]string
	}{
		{"notes", "t.id = $1", "seed s", map[string]string{
			"workspace_id": "s.workspace", "id": "s.id", "owner_id": "s.owner", "updated_by": "s.owner", "title": "s.title", "body": "s.body",
			"tags": "jsonb_build_array(s.tag)", "created_at": "s.at", "updated_at": "s.at", "version": "1", "access_version": "0",
		}},
		{"note_access", "t.note_id = $1 and t.role = 4", "seed s", with(note, "person_id", "s.owner", "granted_by", "s.owner", "granted_at", "s.at", "seen_at", "s.at")},
		{"note_access", "t.note_id = $1 and t.role < 4", fmt.Sprintf("(select * from seed where i %% %d = 0) s", s.ReaderSees),
			with(note, "person_id", "s.reader", "granted_by", "s.owner", "granted_at", "s.at", "seen_at", "s.at")},
		{"note_revisions", "t.note_id = $1 and t.version = 1", "seed s", with(note, "title", "s.title", "body", "s.body", "tags", "jsonb_build_array(s.tag)", "author_id", "s.owner")},
		{"note_tags", "t.note_id = $1", "seed s", with(note, "tag", "s.tag", "tag_key", "s.tag")},
		{"note_search", "t.note_id = $1", "seed s", with(note, "title", "s.title", "version", "1", "at", "s.at", "doc", document)},
	} {
		if _, err := (cloning{table: c.table, like: c.like, from: c.of, set: c.set}).run(ctx, tx.Conn(), like); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
insert into note_usage as c (workspace_id, shard, notes, bytes) select workspace, 0, count(*), sum(octet_length(body)) from seed group by workspace
on conflict (workspace_id, shard) do update set notes = c.notes + excluded.notes, bytes = c.bytes + excluded.bytes`)
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func with(some map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for k, v := range some {
		all[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// Tidy does what PostgreSQL would do by itself within minutes: it counts the rows and marks those that all can see.
func (w *World) Tidy(ctx context.Context) error {
	return w.in(ctx, notes, func(conn *pgx.Conn) error {
		for _, statement := range []string{`vacuum (analyze) notes, note_access, note_revisions, note_tags, note_search, note_usage, people, workspaces`, `checkpoint`} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// Teams makes workspaces, with an owner and a reader each, as rows like those of the default workspace.
func (w *World) Teams(ctx context.Context, n int) ([]Team, error) {
	teams := make([]Team, n)
	at, err := w.Default(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, n)
	err = w.in(ctx, users, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select uuidv7()::text from generate_series(1, $1)`, n)
		if err != nil {
			return err
		}
		if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		_, err = cloning{table: "workspaces", like: "t.id = $2", from: "unnest($1::uuid[]) as s (id)", set: map[string]string{"id": "s.id"}}.run(ctx, conn, ids, at.ID)
		if err != nil {
			return err
		}
		_, err = cloning{table: "slugs", like: "t.workspace_id = $2", from: "unnest($1::uuid[]) with ordinality as s (id, i)", set: map[string]string{
			"workspace_id": "s.id", "slug": "'team' || s.i",
		}}.run(ctx, conn, ids, at.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make workspaces: %w", err)
	}
	err = w.in(ctx, notes, func(conn *pgx.Conn) error {
		if err := appears(ctx, conn, `select exists (select from workspaces where workspace_id = $1)`, at.ID); err != nil {
			return err
		}
		_, err := cloning{table: "workspaces", like: "t.workspace_id = $2", from: "unnest($1::uuid[]) with ordinality as s (id, i)", set: map[string]string{
			"workspace_id": "s.id", "slug": "'team' || s.i",
		}}.run(ctx, conn, ids, at.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make workspaces known to notes: %w", err)
	}
	for i := range teams {
		teams[i].Workspace = Workspace{ID: ids[i], Host: fmt.Sprintf("team%d.%s", i+1, w.host)}
	}
	return teams, w.staff(ctx, teams)
}

// Return brings the people of teams back to a stack that was started again: its door is another, and their tokens are old.
func (w *World) Return(ctx context.Context, teams []Team) error {
	var people []Person
	for i := range teams {
		t := &teams[i]
		t.Host = fmt.Sprintf("team%d.%s", i+1, w.host)
		t.Owner.Host, t.Reader.Host = t.Host, t.Host
		people = append(people, t.Owner, t.Reader)
	}
	err := w.in(ctx, users, func(conn *pgx.Conn) error { return sign(ctx, conn, people) })
	for i := range teams {
		teams[i].Owner, teams[i].Reader = people[2*i], people[2*i+1]
	}
	return err
}

// staff gives each team its two people.
func (w *World) staff(ctx context.Context, teams []Team) error {
	spaces := make([]Workspace, 0, 2*len(teams))
	for _, t := range teams {
		spaces = append(spaces, t.Workspace, t.Workspace)
	}
	people, err := w.peopleOf(ctx, spaces)
	if err != nil {
		return err
	}
	for i := range teams {
		teams[i].Owner, teams[i].Reader = people[2*i], people[2*i+1]
	}
	return nil
}
