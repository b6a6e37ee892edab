// Package bounded reads what people and other programs have written in little memory and time, whatever it holds.
package bounded

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// ReadFile reads a file of at most so many bytes. Its errors are those of package os.
func ReadFile(path string, most int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var data bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		data.Grow(int(min(info.Size(), int64(most))) + bytes.MinRead)
	}
	_, err = data.ReadFrom(io.LimitReader(file, int64(most)+1))
	if err == nil && data.Len() > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than the %d bytes that such a file may have", most)}
	}
	if err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// Printable is what a device or another program says as it may stand in logs, in comments and on screens: in one line,
// without signs that a terminal obeys.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// What a YAML file may hold. The library takes time and memory that grow with the square of the depth and of the keys in
// one group, and without any bound for aliases of aliases.
const (
	maxYAMLBytes  = 256 << 10
	maxYAMLTokens = 50_000
	maxYAMLDepth  = 32
	maxYAMLKeys   = 256 // of one group
	maxYAMLMarks  = 16  // anchors, aliases and tags
)

// CheckYAML says what of a YAML file is beyond any use, and in which line; the file may then be given to a parser.
func CheckYAML(data []byte) (line int, err error) {
	if len(data) > maxYAMLBytes {
		return 1, fmt.Errorf("%d bytes are too many; a file has at most %d", len(data), maxYAMLBytes)
	}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxYAMLTokens {
		return tokens[maxYAMLTokens].Position.Line, fmt.Errorf("the file holds too much; it has at most %d words and signs", maxYAMLTokens)
	}
	o := outline{}
	for _, t := range tokens {
		if err := o.add(t); err != nil {
			return t.Position.Line, err
		}
	}
	return 0, nil
}

// outline follows how deep the tokens of a file are nested.
type outline struct {
	levels []level
	marks  int
	line   int  // of the token before
	entry  bool // the token before begins an entry of a list, or a key
}

// level is a list or a group of keys that is not yet over.
type level struct {
	column int // where its entries begin; 0 within brackets
	keys   int
}

func (o *outline) add(t *token.Token) error {
	flow := len(o.levels) > 0 && o.levels[len(o.levels)-1].column == 0
	begins := t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType
	if t.Type == token.CommentType {
		return nil
	}
	if !flow && (begins || o.entry || t.Position.Line != o.line) {
		o.indent(t.Position.Column)
	}
	o.line, o.entry = t.Position.Line, begins
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		o.levels = append(o.levels, level{})
	case token.SequenceEndType, token.MappingEndType:
		if flow {
			o.levels = o.levels[:len(o.levels)-1]
		}
	case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
		o.marks++
	case token.MappingValueType:
		if len(o.levels) > 0 {
			o.levels[len(o.levels)-1].keys++
		}
	}
	switch {
	case len(o.levels) > maxYAMLDepth:
		return fmt.Errorf("nested more than %d deep", maxYAMLDepth)
	case len(o.levels) > 0 && o.levels[len(o.levels)-1].keys > maxYAMLKeys:
		return fmt.Errorf("more than %d keys in one group", maxYAMLKeys)
	case o.marks > maxYAMLMarks:
		return fmt.Errorf("more than %d anchors, aliases and tags; write the values out", maxYAMLMarks)
	}
	return nil
}

// indent makes the level at a column the deepest.
func (o *outline) indent(column int) {
	for len(o.levels) > 0 && o.levels[len(o.levels)-1].column > column {
		o.levels = o.levels[:len(o.levels)-1]
	}
	if len(o.levels) == 0 || o.levels[len(o.levels)-1].column < column {
		o.levels = append(o.levels, level{column: column})
	}
}
