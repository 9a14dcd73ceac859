package converse

import (
	"bytes"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// location is one kind of place that a citation points to, in both vocabularies.
type location struct {
	converse, messages             string
	index, start, end              string // of Converse
	theirIndex, theirStart, theirE string // of Messages
	title, source                  string // of Messages; source is empty where it has none
}

var locations = []location{
	{"documentChar", "char_location", "documentIndex", "start", "end", "document_index", "start_char_index", "end_char_index", "document_title", ""},
	{"documentPage", "page_location", "documentIndex", "start", "end", "document_index", "start_page_number", "end_page_number", "document_title", ""},
	{"documentChunk", "content_block_location", "documentIndex", "start", "end", "document_index", "start_block_index", "end_block_index", "document_title", ""},
	{"searchResultLocation", "search_result_location", "searchResultIndex", "start", "end", "search_result_index", "start_block_index", "end_block_index", "title", "source"},
}

// Messages names a web location too, but wants it back with an encrypted index
// that Converse has no place for.
const webLocation = "web_search_result_location"

// citationsContent writes a text block with citations.
func (w *walker) citationsContent(v []byte) {
	w.element(`{"type":"text"`)
	found := false
	for key, v := range w.object(v).each {
		switch string(key) {
		case "content":
			found = true
			w.key("text")
			w.joined(v, "CitationGeneratedContent")
		case "citations":
			w.key("citations")
			w.open('[')
			for _, v := range w.array(v).each {
				n := len(w.out)
				if w.comma(); !w.citationToMessages(v) {
					w.out = w.out[:n]
				}
			}
			w.open(']')
		default:
			w.extra(key)
		}
	}
	w.need(found, "content")
	w.open('}')
}

// joined writes a list of {"text"} as one string; a single one keeps its bytes.
func (w *walker) joined(v []byte, of string) {
	n := 0
	var first, all []byte
	for _, v := range w.array(v).each {
		for key, v := range w.union(v, of).each {
			if string(key) != "text" {
				w.extra(key)
				continue
			}
			if !w.isString(v) {
				continue
			}
			if n++; n == 1 {
				first = v
				continue
			}
			if n == 2 {
				all = append(all, w.str(first)...)
			}
			all = append(all, w.str(v)...)
		}
	}
	switch n {
	case 0:
		w.out = append(w.out, `""`...)
	case 1:
		w.out = append(w.out, first...)
	default:
		w.out = jsonspan.AppendString(w.out, string(all))
	}
}

// citationToMessages writes one citation of Converse as Messages has it, and
// reports whether it did.
func (w *walker) citationToMessages(v []byte) bool {
	var title, source, text, place, where []byte
	for key, v := range w.object(v).each {
		switch string(key) {
		case "title":
			title = v
		case "source":
			source = v
		case "sourceContent":
			text = v
		case "location":
			for key, v := range w.union(v, "CitationLocation").each {
				place, where = key, v
			}
		default:
			w.extra(key)
		}
	}
	var l *location
	for i := range locations {
		if locations[i].converse == string(place) {
			l = &locations[i]
		}
	}
	if l == nil {
		w.push("location")
		w.cannot("The location %s at %s is none that Messages can take back: it must be documentChar, documentPage, documentChunk or searchResultLocation.", show(place), w.dotted())
		w.pop()
		return false
	}
	w.open('{')
	w.textMember("type", l.messages)
	if text != nil {
		w.push("sourceContent")
		w.key("cited_text")
		w.joined(text, "CitationSourceContent")
		w.pop()
	}
	if title != nil {
		w.stringMember(l.title, title)
	}
	switch {
	case source == nil || len(source) == 2:
	case l.source != "":
		w.stringMember(l.source, source)
	default:
		w.push("source")
		w.cannot("The source at %s can be carried only for a search result.", w.dotted())
		w.pop()
	}
	w.push("location")
	w.push(l.converse)
	w.renamed(where, l.index, l.theirIndex, l.start, l.theirStart, l.end, l.theirE)
	w.pop()
	w.pop()
	w.open('}')
	return true
}

// renamed writes the members of an object of integers under other names. pairs
// are a name and its translation each; all must be there.
func (w *walker) renamed(v []byte, pairs ...string) {
	n := 0
	for key, v := range w.object(v).each {
		i := 0
		for i < len(pairs) && pairs[i] != string(key) {
			i += 2
		}
		if i == len(pairs) {
			w.extra(key)
			continue
		}
		if _, ok := jsonspan.Int(v); !ok {
			w.wrong("an integer")
		}
		n++
		w.member(pairs[i+1], v)
	}
	if n < len(pairs)/2 {
		w.fail("The location at %s is not whole: it needs its index, start and end.", w.dotted())
	}
}

// citationToConverse writes one citation of Messages as Converse has it, and
// reports whether it did.
func (w *walker) citationToConverse(v []byte) bool {
	kind := blockType(v)
	var l *location
	for i := range locations {
		if locations[i].messages == string(kind) {
			l = &locations[i]
		}
	}
	web := string(kind) == webLocation
	if l == nil && !web {
		w.cannot("%s: the citation %s cannot be carried over to Converse", w.dotted(), show(kind))
		return false
	}
	var title, source, text, url, index, start, end []byte
	for key, v := range w.object(v).each {
		switch k := string(key); {
		case k == "type" || k == "file_id" && string(v) == `""`:
		case k == "cited_text":
			text = v
		case web && k == "title", l != nil && k == l.title:
			title = v
		case web && k == "url":
			url = v
		case l != nil && l.source != "" && k == l.source:
			source = v
		case l != nil && k == l.theirIndex:
			index = v
		case l != nil && k == l.theirStart:
			start = v
		case l != nil && k == l.theirE:
			end = v
		default:
			w.extra(key)
		}
	}
	w.open('{')
	w.key("location")
	if web {
		w.out = append(w.out, `{"web":{`...)
		if url != nil {
			w.textMember("domain", domainOf(w.str(url)))
			w.stringMember("url", url)
		}
		w.out = append(w.out, `}}`...)
	} else {
		w.open('{')
		w.key(l.converse)
		w.open('{')
		for _, m := range [...]struct {
			name string
			v    []byte
		}{{l.index, index}, {l.end, end}, {l.start, start}} {
			switch _, ok := jsonspan.Int(m.v); {
			case m.v == nil:
				w.missing(m.name)
			case !ok:
				w.wrong("an integer")
			default:
				w.member(m.name, m.v)
			}
		}
		w.out = append(w.out, `}}`...)
	}
	if source != nil {
		w.stringMember("source", source)
	}
	if text != nil {
		w.member("sourceContent", []byte(`[{`))
		w.stringMember("text", text)
		w.out = append(w.out, `}]`...)
	}
	if title != nil {
		w.stringMember("title", title)
	}
	w.open('}')
	return true
}

func domainOf(url []byte) string {
	if _, after, ok := bytes.Cut(url, []byte("://")); ok {
		url = after
	}
	if i := bytes.IndexAny(url, "/?#:"); i >= 0 {
		url = url[:i]
	}
	return string(url)
}
