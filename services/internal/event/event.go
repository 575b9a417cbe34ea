package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Event is one fact about one aggregate of one workspace.
type Event struct {
	// ID is a UUIDv7; consumers record it, so that an event takes effect once.
	ID string
	// Type is the full name of the protobuf message in Data: "note.v1.NoteShared".
	Type        string
	WorkspaceID string
	// Source is the service that says so. The outbox fills it in.
	Source string
	Time   time.Time
	// Key is the aggregate's id. Events of one key keep their order, because they share a lane.
	Key string
	// Audience is who may see the event in a browser. It travels beside the data and never reaches one.
	Audience []string
	// Data is the message in protobuf's JSON, with camelCase names and without fields that have no value.
	Data json.RawMessage
	// TraceParent and TraceState are W3C trace context: of the transaction in the outbox, of the publish span on the wire.
	TraceParent, TraceState string
	// Lane and Position say where the event stands in its outbox, and Cursor where the whole outbox stood after it: see ParseCursor.
	// All three are empty until the relay publishes the event.
	Lane     int
	Position int64
	Cursor   string
}

// ErrMalformed is wrapped by every error about an event that can not become valid by trying again.
var ErrMalformed = errors.New("malformed event")

// New makes an event of msg about the aggregate key. The workspace id must be a UUID in its canonical spelling, because it becomes
// a token of a NATS subject; audience is a list of person ids.
func New(workspaceID, key string, msg proto.Message, audience ...string) (Event, error) {
	if err := checkWorkspace(workspaceID); err != nil {
		return Event{}, err
	}
	if key == "" {
		return Event{}, fmt.Errorf("%w: no key", ErrMalformed)
	}
	for _, person := range audience {
		if person == "" || strings.ContainsAny(person, ",\r\n") {
			return Event{}, fmt.Errorf("%w: audience %q is not a person's id", ErrMalformed, person)
		}
	}
	data, err := encode(msg)
	if err != nil {
		return Event{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, fmt.Errorf("event id: %w", err)
	}
	return Event{
		ID:          id.String(),
		Type:        string(msg.ProtoReflect().Descriptor().FullName()),
		WorkspaceID: workspaceID,
		Time:        time.Now().UTC().Truncate(time.Microsecond), // as a database keeps it
		Key:         key,
		Audience:    audience,
		Data:        data,
	}, nil
}

// Subject is where the event is published: the workspace, then the type. It carries no id of an aggregate, because JetStream
// keeps 220 bytes of memory for each distinct subject.
func (e Event) Subject() string {
	return "ws." + e.WorkspaceID + "." + e.Type
}

// Decode reads the event's data as an M. Fields that this version of M does not know are ignored; another message's event is ErrMalformed.
func Decode[M proto.Message](e Event) (M, error) {
	var typed M
	msg, ok := typed.ProtoReflect().New().Interface().(M)
	if !ok {
		return typed, fmt.Errorf("%w: %T can not be made", ErrMalformed, typed)
	}
	if name := string(msg.ProtoReflect().Descriptor().FullName()); e.Type != name {
		return typed, fmt.Errorf("%w: event is a %s, not a %s", ErrMalformed, e.Type, name)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Data, msg); err != nil {
		return typed, fmt.Errorf("%w: data of %s: %w", ErrMalformed, e.Type, err)
	}
	return msg, nil
}

// encode writes the same bytes for the same message: protojson alone puts spaces in at random.
func encode(msg proto.Message) (json.RawMessage, error) {
	loose, err := protojson.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	compact := bytes.NewBuffer(make([]byte, 0, len(loose)))
	if err := json.Compact(compact, loose); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return compact.Bytes(), nil
}

func checkWorkspace(id string) error {
	if !canonicalUUID(id) {
		return fmt.Errorf("%w: workspace %q is not a UUID in its canonical spelling", ErrMalformed, id)
	}
	return nil
}

// canonicalUUID also keeps wildcards and dots out of subjects.
func canonicalUUID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && len(id) == 36 && parsed.String() == id
}
