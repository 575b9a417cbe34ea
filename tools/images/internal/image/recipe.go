package image

import (
	"fmt"
	"slices"
	"strings"
)

// Recipe is what one image is made of besides what all have in common.
type Recipe struct {
	// Name is the repository's last part, and the program's place in the image.
	Name        string
	Description string
	Package     string
	Ports       []int
	Env         []string
	// Web is the folder of this repository that becomes /web; without it there is no web app.
	Web string
}

// Recipes are the images there are, in the order in which they are told of.
func Recipes() []Recipe {
	return []Recipe{
		{
			Name:        "user",
			Description: "Workspaces, people, credentials, sessions and tokens of Noteworks",
			Package:     "./services/user",
			Ports:       []int{8081, 8082, 8083},
		},
		{
			Name:        "note",
			Description: "Notes, shares, revisions and search of Noteworks",
			Package:     "./services/note",
			Ports:       []int{8081, 8082, 8083},
		},
		{
			Name:        "gateway",
			Description: "The public door of Noteworks: web app, REST routing and live updates",
			Package:     "./services/gateway",
			Ports:       []int{8080, 8083},
			Env:         []string{"WEB_DIR=/web"},
			Web:         "web",
		},
		{
			Name:        "operator",
			Description: "Turns NoteWorkspace objects into workspaces of Noteworks",
			Package:     "./operator",
			Ports:       []int{8083},
		},
	}
}

// choose answers the recipes of these names, in their own order; without names all of them.
func choose(all []Recipe, names []string) ([]Recipe, error) {
	var known []string
	for _, r := range all {
		known = append(known, r.Name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("there is no image %q; there are %s", n, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(r Recipe) bool { return !slices.Contains(names, r.Name) }), nil
}
