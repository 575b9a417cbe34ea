package postgres

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm"
)

// The statements here are written out and run on gorm's transaction: what they cost is their round trips, and each is counted.

// scanner is a row, of one or of many.
type scanner interface{ Scan(dest ...any) error }

func exec(tx *gorm.DB, statement string, args ...any) (int64, error) {
	res, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, statement, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads the one row that a statement answers; false when there is none.
func row[T any](tx *gorm.DB, read func(scanner) (T, error), statement string, args ...any) (T, bool, error) {
	return one(read, tx.Statement.ConnPool.QueryRowContext(tx.Statement.Context, statement, args...))
}

// one reads a row that may not be there.
func one[T any](read func(scanner) (T, error), from scanner) (T, bool, error) {
	got, err := read(from)
	if errors.Is(err, sql.ErrNoRows) {
		return got, false, nil
	}
	return got, err == nil, err
}

func rows[T any](tx *gorm.DB, read func(scanner) (T, error), statement string, args ...any) ([]T, error) {
	found, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }() // Err has told what there is to tell
	var all []T
	for found.Next() {
		one, err := read(found)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, found.Err()
}

// value reads rows of one column.
func value[T any](s scanner) (v T, err error) {
	err = s.Scan(&v)
	return v, err
}

// jsonList is a list of texts in a jsonb column.
type jsonList []string

// Scan reads the column.
func (l *jsonList) Scan(src any) error {
	switch src := src.(type) {
	case string:
		return json.Unmarshal([]byte(src), (*[]string)(l))
	case []byte:
		return json.Unmarshal(src, (*[]string)(l))
	}
	return fmt.Errorf("a list of texts, not %T", src)
}

// jsonText is v as a parameter for jsonb. v is made of texts and numbers, so that it cannot fail.
func jsonText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// arguments numbers parameters as a statement is put together.
type arguments []any

// add keeps v and returns its placeholder.
func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}
