package main

import "github.com/outcrop-dev/outcrop/internal/catalog"

// modelIDs are those that a person may want to call: each model by its profiles,
// and bare.
func modelIDs(cat *catalog.Catalog) []string {
	var ids []string
	for _, m := range cat.Models() {
		for _, p := range m.Profiles {
			if !p.PageOnly {
				ids = append(ids, p.Prefix+"."+m.ID)
			}
		}
		ids = append(ids, m.ID)
	}
	return ids
}
