package main

import (
	"errors"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

func TestNoLocal(t *testing.T) {
	fetch := self() + " fetch"
	for want, c := range map[string]struct {
		err   error
		cache string
	}{
		"the model is missing: `" + fetch + "` gets it":                   {&modelfiles.MissingError{What: []string{"the model"}, Dir: "d"}, ""},
		"the engine is missing: `" + fetch + " --cache /c` gets it":       {&modelfiles.MissingError{What: []string{"the engine"}, Dir: "/c"}, "/c"},
		"the engine and the model are missing: `" + fetch + "` gets both": {&modelfiles.MissingError{What: []string{"the engine", "the model"}, Dir: "d"}, ""},
		"no local engine (not for this machine)":                          {errors.New("not for this machine"), "/c"},
	} {
		if got := noLocal(c.err, c.cache); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
