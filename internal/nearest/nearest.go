// Package nearest finds the word that a misspelt one was meant to be.
//
// Invariant: a word that is not near is not given: a wrong guess misleads more
// than none. Not a goal: languages; the words are names of flags and members.
package nearest

import "strings"

// Word is the known word nearest to name, letter case aside; "" if none is near:
// one letter may be wrong, and one more for every three.
func Word(name string, known []string) string {
	best, most := "", 1+len(name)/3
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= most && (best == "" || d < most) {
			best, most = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			prev, row[j] = row[j], min(row[j]+1, row[j-1]+1, prev+cost)
		}
	}
	return row[len(b)]
}
