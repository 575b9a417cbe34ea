package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/argon2id"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/postgres"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

// DefaultWorkspace is the id of the workspace that a host without a slug leads to, where nobody chooses ids; the same everywhere.
const DefaultWorkspace = "00000000-0000-7000-8000-000000000001"

// applying is the settings of the command apply-workspaces.
type applying struct {
	Database pg.Config
	// Workspaces is a JSON list of what should be there.
	Workspaces string `env:"WORKSPACES,required" should:"a JSON list such as [{\"slug\":\"team\",\"owner\":{\"email\":\"ann@example.org\"}}]"`
	// Passwords is where the owners' first passwords are: a file for each workspace, named by its slug.
	Passwords string `env:"WORKSPACE_PASSWORDS_DIR,required" should:"the directory of the owners' first passwords, a file for each slug"`

	wanted []wantedWorkspace
}

type wantedWorkspace struct {
	Slug  string `json:"slug"`
	Title string `json:"title"`
	Owner struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	} `json:"owner"`
}

// Validate reads the list. config.Load asks it.
func (a *applying) Validate() error {
	if a.Workspaces == "" {
		return nil // config.Load has complained
	}
	list := json.NewDecoder(strings.NewReader(a.Workspaces))
	list.DisallowUnknownFields()
	if err := list.Decode(&a.wanted); err != nil {
		return &config.SettingError{
			Name: "WORKSPACES", Problem: "cannot be read (" + err.Error() + ")",
			Should: `a JSON list such as [{"slug":"team","owner":{"email":"ann@example.org"}}]`,
		}
	}
	return nil
}

// applyWorkspaces is the command that makes sure of some workspaces and ends, for stacks that nobody else administers. It needs the database
// alone, as the role that serves, and waits for it and its schema as long as ctx lives. The relay of a running service publishes what it changed.
func applyWorkspaces() program.Command {
	return program.Command{
		Name: "apply-workspaces",
		Does: "create the workspaces of WORKSPACES that are missing, set their titles, and end",
		Run:  runApply,
	}
}

func runApply(ctx context.Context, lookup config.LookupFunc, logs io.Writer) (err error) {
	set, err := config.Load[applying](lookup)
	if err != nil {
		return err
	}
	tel, err := telemetry.New(ctx, name, lookup, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tel.Shutdown(context.WithoutCancel(ctx))) }()
	db, err := pg.Open(ctx, set.Database, tel)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Await(ctx, program.NewWaiting(tel.Log).For, Migrations()...); err != nil {
		return err
	}
	events := outbox.New(db, nil, outbox.Config{Stream: event.StreamUser, Source: name}, tel)
	hasher := argon2id.New(argon2id.Default(), argon2id.Limits{Parallel: 1, Queue: 1})
	workspaces := workspace.NewWorkspaces(postgres.New(db, events), hasher, nil, workspace.Config{Now: precise(nil), NewID: newID})
	for _, w := range set.wanted {
		if err := applyOne(ctx, workspaces, set.Passwords, w, tel); err != nil {
			return fmt.Errorf("workspace %s: %w", w.Slug, err)
		}
	}
	return nil
}

func applyOne(ctx context.Context, workspaces *workspace.Workspaces, passwords string, w wantedWorkspace, tel *telemetry.Telemetry) error {
	slug, err := workspace.ParseSlug(w.Slug) // before it names a file
	if err != nil {
		return explain(err)
	}
	password, err := config.ReadFile(filepath.Join(passwords, string(slug)))
	if err != nil {
		return fmt.Errorf("the owner's first password: %w", err)
	}
	applied, err := workspaces.Apply(ctx, workspace.Wanted{
		ID: idOf(slug), Slug: w.Slug, Title: w.Title,
		Owner: &person.Newcomer{Email: w.Owner.Email, Name: w.Owner.Name, Password: password.Reveal(), PasswordField: "password"},
	})
	if errors.Is(err, workspace.ErrSlugTaken) { // by one that somebody made with an id of his own
		tel.Log.WarnContext(ctx, "workspace left alone: another one has its slug", slog.String("slug", w.Slug))
		return nil
	}
	if err != nil {
		return explain(err)
	}
	tel.Log.InfoContext(ctx, "workspace applied", telemetry.WorkspaceID(applied.ID))
	return nil
}

// explain adds the field to what is said of it.
func explain(err error) error {
	if field := errs.As(err).Field; field != "" {
		return fmt.Errorf("%s: %w", field, err)
	}
	return err
}

// idOf is the same for the same slug, so that a list can be applied again without remembering anything.
func idOf(slug workspace.Slug) tenant.ID {
	if slug == workspace.DefaultSlug {
		return DefaultWorkspace
	}
	space := uuid.NewSHA1(uuid.NameSpaceDNS, []byte("noteworks.dev"))
	return tenant.ID(uuid.NewSHA1(space, []byte(slug)).String())
}
