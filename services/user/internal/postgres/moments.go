package postgres

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// moments is a short list of times in a jsonb column: gorm would take a slice for several parameters.
type moments []time.Time

// Value implements driver.Valuer.
func (m moments) Value() (driver.Value, error) {
	text, err := json.Marshal([]time.Time(m))
	return string(text), err
}

// Scan implements sql.Scanner.
func (m *moments) Scan(from any) error {
	switch text := from.(type) {
	case []byte:
		return json.Unmarshal(text, (*[]time.Time)(m))
	case string:
		return json.Unmarshal([]byte(text), (*[]time.Time)(m))
	}
	return fmt.Errorf("times cannot be read from %T", from)
}
