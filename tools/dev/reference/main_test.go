package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestThePageShowsEveryRoute(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	handler("../../../services/api/openapi").ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	for _, route := range []string{"POST /api/v1/auth/login", "GET /api/v1/notes", "PATCH /api/v1/notes/{id}", "/files/note.yaml"} {
		if !strings.Contains(answer.Body.String(), route) {
			t.Errorf("%s is not shown", route)
		}
	}
}

func TestAFolderThatIsNoneSaysSo(t *testing.T) {
	t.Parallel()
	if all, err := read(t.TempDir()); err != nil || len(all) != 0 {
		t.Errorf("an empty folder: %v, %v", all, err)
	}
}
