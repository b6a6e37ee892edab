package kiosk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"thermogate/screening/event"
)

// words are one language's, by key. KEY.call is what KEY comes to in few words, for one of several people.
type words map[string]string

// dictionary is what the page in front of the person says, in every language, by its code.
type dictionary map[string]words

// readDictionary reads web/words, which has one file a language, named by its code.
func readDictionary() dictionary {
	files, err := web.ReadDir("web/words")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	d := dictionary{}
	for _, file := range files {
		name := path.Join("web/words", file.Name())
		data, err := web.ReadFile(name)
		if err == nil {
			var w words
			err = json.Unmarshal(data, &w)
			d[strings.TrimSuffix(file.Name(), ".json")] = w
		}
		if err != nil {
			panic(fmt.Errorf("%s: %w", name, err)) // it is compiled in
		}
	}
	return d
}

// codes are the languages there are.
func (d dictionary) codes() []string {
	var codes []string
	for code := range d {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// in says something in every language.
func (d dictionary) in(say func(words) string) map[string]string {
	said := make(map[string]string, len(d))
	for code, w := range d {
		said[code] = say(w)
	}
	return said
}

// phrase is what the page in front of the person says, for the engineers'.
func (d dictionary) phrase(key string) phrase { return phrase{d["zh"][key], d["en"][key]} }

// head is what a message says first.
func (w words) head(m message) string {
	if m.to == "" {
		return w[m.head]
	}
	return w.called(m.to, m.head)
}

// sub is what else a message says.
func (w words) sub(m message) string {
	var clauses []string
	for _, key := range []string{m.sub, m.more} {
		if key != "" {
			clauses = append(clauses, w[key])
		}
	}
	if m.aside != (aside{}) {
		clauses = append(clauses, w.called(m.aside.to, m.aside.head))
	}
	return strings.Join(clauses, w["clause"])
}

// called is a headline in few words, said to the person at a place.
func (w words) called(to place, head string) string {
	return strings.Replace(w[string(to)], "{}", w.call(head), 1)
}

func (w words) call(head string) string {
	if call, ok := w[head+".call"]; ok {
		return call
	}
	first, size := utf8.DecodeRuneInString(w[head])
	return string(unicode.ToLower(first)) + w[head][size:]
}

// number is the body temperature and the level that it was compared with, to the hundredth as on all pages.
func (w words) number(data *event.Data) string {
	hundredths := func(celsius float64) string { return fmt.Sprintf("%.2f", celsius) }
	return strings.NewReplacer("{body}", hundredths(*data.BodyCelsius), "{level}", hundredths(*data.ThresholdCelsius)).Replace(w["number"])
}

// languages are those of the page for a request, one or two: first what the address asks for, then the configured ones,
// else the browser's and the other of Chinese and English.
func (k *Kiosk) languages(asked, browser string) []string {
	shown := k.config.Page.Languages
	if len(shown) == 0 {
		first := cmp.Or(k.config.Language, browser)
		shown = []string{first, map[string]string{"zh": "en", "en": "zh"}[first]}
	}
	if _, known := k.words[asked]; known {
		others := slices.DeleteFunc(slices.Clone(shown), func(code string) bool { return code == asked })
		shown = append([]string{asked}, others...)
	}
	return shown[:min(len(shown), 2)]
}
