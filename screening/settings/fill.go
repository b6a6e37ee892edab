package settings

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Line is a key, "key" or "section.key", and the text that it is to have.
type Line struct{ Key, Value string }

// Fill writes lines into a file, which otherwise stays as it is, comments and all. A key that is there already is only set where it
// has its default, by defaults, or this very value; else the error says so, and begins with ":LINE: ".
func Fill(text []byte, lines []Line, defaults map[string]string) ([]byte, error) {
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(bytes.Clone(text), '\n')
	}
	for _, line := range lines {
		var err error
		if text, err = fill(text, line, defaults[line.Key]); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func fill(text []byte, line Line, ordinary string) ([]byte, error) {
	section, key, nested := strings.Cut(line.Key, ".")
	if !nested {
		section, key = "", line.Key
	}
	value, err := scalar(line.Value)
	if err != nil {
		return nil, err
	}
	if node := nodeOf(text, line.Key); node != nil {
		return setLine(text, node, line, value, ordinary)
	}
	if section == "" {
		return append(text, key+": "+value+"\n"...), nil
	}
	switch part := nodeOf(text, section).(type) {
	case nil:
		return append(text, section+":\n  "+key+": "+value+"\n"...), nil
	case *ast.NullNode: // the key of the section, and nothing in it
		return insert(text, part.GetToken().Position.Line, "  "+key+": "+value), nil
	case *ast.MappingNode:
		if part.IsFlowStyle {
			return nil, fmt.Errorf(":%d: %s is written in braces; write its keys in lines of their own, then try again", part.GetToken().Position.Line, section)
		}
		first := part.Values[0].Key.GetToken().Position
		return insert(text, first.Line-1, strings.Repeat(" ", first.Column-1)+key+": "+value), nil
	default:
		return nil, fmt.Errorf(":%d: %s is not a group of keys", part.GetToken().Position.Line, section)
	}
}

// setLine gives a key that is there another value than its default.
func setLine(text []byte, node ast.Node, line Line, value, ordinary string) ([]byte, error) {
	token := node.GetToken()
	is := token.Value
	if _, null := node.(*ast.NullNode); null {
		is = ""
	}
	at := token.Position.Line
	switch {
	case is == line.Value:
		return text, nil
	case is != ordinary && is != "":
		return nil, fmt.Errorf(":%d: %s is %s, and the link says %s; if the link is right, remove that line, and then give the same link again",
			at, line.Key, is, line.Value)
	}
	all := strings.Split(string(text), "\n")
	key := line.Key[strings.LastIndex(line.Key, ".")+1:]
	head, rest, found := strings.Cut(all[at-1], key+":")
	written := strings.TrimSpace(token.Origin)
	before, after, whole := strings.Cut(rest, written)
	if _, null := node.(*ast.NullNode); null && strings.TrimSpace(strings.SplitN(rest, "#", 2)[0]) == "" {
		before, after, whole = " ", rest, true
	}
	if !found || strings.TrimSpace(head) != "" || strings.TrimSpace(before) != "" || !whole {
		return nil, fmt.Errorf(":%d: %s is not in a line of its own; set it to %s there, then give the same link again", at, line.Key, line.Value)
	}
	all[at-1] = head + key + ": " + value + after
	return []byte(strings.Join(all, "\n")), nil
}

// insert puts a line behind another one, of which the first has the number 1.
func insert(text []byte, after int, line string) []byte {
	all := strings.SplitAfter(string(text), "\n")
	return []byte(strings.Join(all[:after], "") + line + "\n" + strings.Join(all[after:], ""))
}

// scalar is a text as YAML has it in one line.
func scalar(text string) (string, error) {
	written, err := yaml.Marshal(text)
	if err != nil {
		return "", err
	}
	one := strings.TrimSuffix(string(written), "\n")
	if strings.Contains(one, "\n") {
		return "", fmt.Errorf(": %.40q has several lines", text)
	}
	return one, nil
}
