package converse

// Locations and Reasons are the pairs of names that docs/converse.md lists.
func Locations() (pairs [][2]string) {
	for _, l := range locations {
		pairs = append(pairs, [2]string{l.converse, l.messages})
	}
	return pairs
}

func Reasons() (pairs [][2]string) {
	for _, r := range reasons {
		pairs = append(pairs, [2]string{r.converse, r.messages})
	}
	return pairs
}
