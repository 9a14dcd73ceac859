// Package grammar turns a JSON schema into a grammar in llama.cpp's notation
// (GBNF), so that what a model writes under it is valid for the schema. Every
// string that a grammar admits is valid JSON and valid for its schema; the
// reverse does not hold: of many spellings of a value one or two are admitted. A
// schema that this cannot be said of is refused by the JSON pointer of the
// keyword. It validates nothing and runs no model.
package grammar
