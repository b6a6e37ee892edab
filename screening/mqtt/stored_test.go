package mqtt

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/screening/journal"
)

const otherJournal = "01JQ8Z6Y5T2M3N4P5Q6R7S8T9V"

func word(j *journal.Journal, by string, through int64) string {
	return fmt.Sprintf(`{"journal":%q,"through":%d,"by":%q}`, j.Tail().Journal, through, by)
}

func lastStatus(t testing.TB, messages []message) (got StatusMessage) {
	t.Helper()
	if len(messages) > 0 {
		if err := json.Unmarshal(messages[len(messages)-1].payload, &got); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestReceiverIsHeardAndForgotten(t *testing.T) {
	broker := startMosquitto(t)
	j := openJournal(t)
	appendEvents(t, j, 1, 10)
	sub := subscribe(t, broker.address(), testGate.StatusTopic())
	sub.client.Publish(testGate.StoredTopic(), 1, true, word(j, "console", 4)).Wait() // before the gate is there
	c := newClient(t, testConfig(broker.address()), j, nil)
	c.timing.tail = 100 * time.Millisecond
	end := start(t, c)
	eventually(t, func() bool { return j.Stats().Receivers == 1 && c.State().Unstored == 6 })
	sub.waitFor(t, func(messages []message) bool {
		got := lastStatus(t, messages)
		return got.Journal == j.Tail().Journal && got.Sequence == 10 && got.Unstored == 6 && got.Unconfirmed == 0
	})
	sub.client.Publish(testGate.StoredTopic(), 1, true, word(j, "console", 10)).Wait()
	eventually(t, func() bool { return c.State().Unstored == 0 })
	appendEvents(t, j, 11, 12)
	sub.waitFor(t, func(messages []message) bool { // also without a word
		got := lastStatus(t, messages)
		return got.Sequence == 12 && got.Unstored == 2
	})
	sub.client.Publish(testGate.StoredTopic(), 1, true, "").Wait()
	eventually(t, func() bool { return j.Stats().Receivers == 0 && c.State().Unstored == 0 })
	end()
	sub.waitFor(t, func(messages []message) bool {
		got := lastStatus(t, messages)
		return got.State == "offline" && got.Sequence == 12
	})
}

func TestReceiverRestoredFromABackupIsSentWhatItLacks(t *testing.T) {
	broker := startMosquitto(t)
	j := openJournal(t)
	c, _ := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	for n := range 20 {
		appendEvents(t, j, n+1, n+1)
	}
	eventually(t, func() bool { return c.State().Confirmed == 20 })
	sub := subscribe(t, broker.address(), testGate.ScreeningTopic("+"))
	sub.client.Publish(testGate.StoredTopic(), 1, true, word(j, "console", 20)).Wait()
	eventually(t, func() bool { return j.Stats().Receivers == 1 })
	sub.client.Publish(testGate.StoredTopic(), 1, true, word(j, "console", 12)).Wait()
	messages := sub.waitFor(t, atLeast(8))
	for i, m := range messages {
		if m.event.ID != sample(13+i).ID || m.event.Sequence != fmt.Sprint(13+i) || !m.event.Data.Historical {
			t.Errorf("%d: %s, sequence %s, historical %v", i, m.event.ID, m.event.Sequence, m.event.Data.Historical)
		}
	}
	if got := c.State(); got.Unstored != 8 || got.Backlog != 0 {
		t.Errorf("state %+v", got)
	}
}

func TestResend(t *testing.T) {
	broker := startMosquitto(t)
	sub := subscribe(t, broker.address(), "thermogate/plant/north/#")
	j := openJournal(t)
	c, _ := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	for n := range 300 {
		appendEvents(t, j, n+1, n+1)
	}
	eventually(t, func() bool { return c.State().Backlog == 0 && c.State().Confirmed == 300 })
	ask := func(request string) (answer Acknowledgement, resent []Resent, events []string) {
		t.Helper()
		before := len(sub.all())
		sub.client.Publish(testGate.CommandTopic("resend"), 1, false, request).Wait()
		sub.waitFor(t, func(messages []message) bool {
			answer, resent, events = Acknowledgement{}, nil, nil
			for _, m := range messages[before:] {
				switch m.topic {
				case testGate.AcknowledgementTopic("resend"):
					json.Unmarshal(m.payload, &answer)
				case testGate.ResentTopic():
					var r Resent
					json.Unmarshal(m.payload, &r)
					resent = append(resent, r)
				case testGate.ScreeningTopic("pass"):
					if !m.event.Data.Historical || m.event.Journal != j.Tail().Journal {
						t.Errorf("came as %s", m.payload)
					}
					events = append(events, m.event.Sequence)
				}
			}
			return answer.Error != "" || answer.Accepted && len(resent) > 0
		})
		return answer, resent, events
	}
	id := j.Tail().Journal
	request := func(journal string, from, to int64) string {
		return fmt.Sprintf(`{"id":"7","journal":%q,"from":%d,"to":%d}`, journal, from, to)
	}
	if _, resent, events := ask(request(id, 17, 20)); strings.Join(events, " ") != "17 18 19 20" || !cmp.Equal(resent, []Resent{{id, 17, 20, []Span{}}}) {
		t.Errorf("%v, %+v", events, resent)
	}
	if _, resent, events := ask(request(id, 100, 1<<62)); len(events) != 201 || !cmp.Equal(resent, []Resent{{id, 100, 300, []Span{}}}) {
		t.Errorf("%d events, %+v", len(events), resent)
	}
	if _, resent, events := ask(request(otherJournal, 1, 1<<62)); len(events) != 0 || !cmp.Equal(resent, []Resent{{otherJournal, 1, 1 << 62, []Span{{1, 1 << 62}}}}) {
		t.Errorf("of another journal: %v, %+v", events, resent)
	}
	for bad, want := range map[string]string{
		request(id, 301, 302): "this journal ends with 300",
		request(id, 0, 5):     "from is at least 1",
		request(id, 5, 4):     "to at least from",
		request("x", 1, 2):    "is the id of no journal",
		``:                    "is the id of no journal",
		`{"journal":"` + id + `","from":1e300,"to":2}`:         "not as it should be",
		`{"journal":"` + id + `","from":1,"to":2,"seconds":1}`: "resend has no seconds",
	} {
		if answer, _, events := ask(bad); answer.Accepted || !strings.Contains(answer.Error, want) || len(events) > 0 {
			t.Errorf("%s: %+v", bad, answer)
		}
	}
	if got := c.State(); got.Backlog != 0 {
		t.Errorf("state %+v", got)
	}
}

func TestResendTellsWhatIsGone(t *testing.T) {
	request := &resending{Resend: Resend{otherJournal, 1, 100}}
	request.lacks(1, 4)
	request.lacks(5, 6)
	request.lacks(9, 8)
	request.lacks(20, 20)
	if diff := cmp.Diff([]Span{{1, 6}, {20, 20}}, request.missing); diff != "" {
		t.Error(diff)
	}
}

func TestResendsAreBounded(t *testing.T) {
	r := resends{added: make(chan struct{}, 1)}
	for n := range int64(maxResends) {
		for range 10 { // asked again and again
			if err := r.add(Resend{otherJournal, 10 * n, 10*n + 5}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.add(Resend{otherJournal, 7, 8}); err == nil {
		t.Error("there is no end to it")
	}
	r.advance(3)
	if err := r.add(Resend{otherJournal, 4, 5}); err != nil {
		t.Error(err)
	}
	r.advance(5)
	if err := r.add(Resend{otherJournal, 4, 5}); err != nil || len(r.waiting) != maxResends {
		t.Errorf("%v, %d wait", err, len(r.waiting))
	}
}

func TestWrongWordsOfReceivers(t *testing.T) {
	broker := startMosquitto(t)
	j := openJournal(t)
	appendEvents(t, j, 1, 3)
	c, _ := run(t, testConfig(broker.address()), j, nil)
	waitConnected(t, c)
	sub := subscribe(t, broker.address(), testGate.StoredTopic())
	wrong := []string{
		"\x00", "[]", `{}`, `{"journal":"` + otherJournal + `","by":"x"}`, word(j, "", 1), word(j, strings.Repeat("x", 1<<20), 1),
		word(j, "x", -1), word(j, "x", 4), word(j, "x", 1<<62), strings.Replace(word(j, "x", 1), "}", ` } 1`, 1),
		strings.Replace(word(j, "x", 1), "1,", "1e300,", 1), strings.Replace(word(j, "x", 1), "1,", `"1",`, 1),
	}
	for i, payload := range wrong {
		sub.client.Publish(testGate.StoredTopic(), 1, false, payload).Wait()
		eventually(t, func() bool { return c.State().Refused == uint64(i+1) })
	}
	sub.client.Publish(testGate.StoredTopic(), 1, false, fmt.Sprintf(`{"journal":%q,"through":9,"by":"x"}`, otherJournal)).Wait()
	sub.client.Publish(testGate.StoredTopic(), 1, false, word(j, "console", 2)).Wait()
	eventually(t, func() bool { return j.Stats().Receivers == 1 })
	if got := c.State(); got.Unstored != 1 || got.Refused != uint64(len(wrong)) {
		t.Errorf("state %+v", got)
	}
	for n := range 3000 { // of as many receivers
		sub.client.Publish(testGate.StoredTopic(), 1, false, word(j, fmt.Sprint("receiver ", n), 1))
	}
	eventually(t, func() bool { return c.State().Refused > uint64(len(wrong))+2000 })
	if got := j.Stats().Receivers; got > 32 {
		t.Errorf("%d receivers are known", got)
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte(`{"journal":"` + otherJournal + `","through":7,"by":"console"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if word, err := ParseStored(payload); err == nil && (word.Validate() != nil || word.Through < 0) {
			t.Errorf("%q gave %+v", payload, word)
		}
	})
}
