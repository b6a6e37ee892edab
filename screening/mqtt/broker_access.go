package mqtt

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	broker "github.com/mochi-mqtt/server/v2"

	"thermogate/screening/listen"
)

// Role is what a user of the broker may do. Consoles and readers may read everything.
type Role string

// The roles.
const (
	RoleGate    Role = "gate"    // speaks for the gate that has its name, and hears what concerns that
	RoleConsole Role = "console" // sends commands, closes alerts, says what it has stored; speaks for no gate
	RoleReader  Role = "reader"  // writes nothing
	RoleBadge   Role = "badge"   // a badge reader or door controller: says what it has read, and hears what became of that alone
)

// BrokerUser is who may connect to the broker.
type BrokerUser struct {
	// Name of the user; with RoleGate the name of the gate, of the same site.
	Name string `yaml:"name"`
	// PasswordFile holds the password and nothing else.
	PasswordFile string `yaml:"password_file"`
	Role         Role   `yaml:"role"`
}

func (c BrokerConfig) users() []BrokerUser {
	users := c.Users
	if c.User != "" {
		users = append(users[:len(users):len(users)], BrokerUser{c.User, c.PasswordFile, RoleConsole})
	}
	return users
}

func validateUsers(users []BrokerUser) error {
	seen := map[string]bool{}
	for _, user := range users {
		switch {
		case user.Name == "":
			return errors.New("users: each needs a name")
		case seen[user.Name]:
			return fmt.Errorf("users: %q is there twice", user.Name)
		case user.PasswordFile == "":
			return fmt.Errorf("users: %q needs a password_file", user.Name)
		case !slices.Contains([]Role{RoleGate, RoleConsole, RoleReader, RoleBadge}, user.Role):
			return fmt.Errorf("users: the role of %q is %q, not gate, console, reader or badge", user.Name, user.Role)
		}
		seen[user.Name] = true
	}
	return nil
}

// access knows who may come in and write where.
type access struct {
	gate  Gate // whose broker it is
	users map[string]credential

	mu       sync.Mutex
	file     string                       // of admitted
	admitted map[string][sha256.Size]byte // passwords of gates that were let in while it ran, by the gate's name
}

type credential struct {
	role     Role
	password [sha256.Size]byte
}

func (c BrokerConfig) access(gate Gate) (*access, error) {
	a := &access{gate: gate, users: map[string]credential{}, admitted: map[string][sha256.Size]byte{}}
	for _, user := range c.users() {
		password, err := listen.ReadSecret(user.PasswordFile)
		if err != nil {
			return a, fmt.Errorf("broker.users: password_file of %s: %w", user.Name, err)
		}
		a.users[user.Name] = credential{user.Role, sha256.Sum256([]byte(password))}
	}
	return a, nil
}

// of is what is known of a user; it has no role for a stranger.
func (a *access) of(user string) credential {
	if known := a.users[user]; known.role != "" {
		return known
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if password, admitted := a.admitted[user]; admitted {
		return credential{RoleGate, password}
	}
	return credential{}
}

// admits compares the password in constant time. Without users everyone comes in.
func (a *access) admits(user string, password []byte) bool {
	if len(a.users) == 0 {
		return true
	}
	known := a.of(user)
	sum := sha256.Sum256(password)
	return subtle.ConstantTimeCompare(sum[:], known.password[:]) == 1 && known.role != ""
}

// mayWrite says whether a client that is let in may publish to a topic.
func (a *access) mayWrite(cl *broker.Client, topic string) bool {
	if isOwn(cl) {
		return true
	}
	if len(a.users) == 0 {
		return !a.gate.speaksOn(topic)
	}
	user := string(cl.Properties.Username)
	switch a.of(user).role {
	case RoleGate:
		return Gate{Site: a.gate.Site, Name: user}.speaksOn(topic)
	case RoleConsole:
		return !gatesOnly(topic)
	case RoleBadge:
		gate, rest, ok := ParseTopic(topic)
		return ok && gate.Site == a.gate.Site && rest == "command/"+string(Badge)
	default:
		return false
	}
}

// mayRead says whether a client that is let in may subscribe to a filter.
func (a *access) mayRead(cl *broker.Client, filter string) bool {
	user := string(cl.Properties.Username)
	if isOwn(cl) || len(a.users) == 0 {
		return true
	}
	switch a.of(user).role {
	case RoleGate:
		return Gate{Site: a.gate.Site, Name: user}.mayHear(filter)
	case RoleBadge:
		levels := strings.SplitN(filter, "/", 4)
		return len(levels) == 4 && levels[0] == "thermogate" && levels[1] == a.gate.Site && levels[3] == "acknowledgement/"+string(Badge)
	}
	return true
}

// isOwn tells the gate itself by where it comes in.
func isOwn(cl *broker.Client) bool { return cl.Net.Listener == ownName }

// speaksOn says whether a topic is one on which only this gate has anything to say.
func (g Gate) speaksOn(topic string) bool {
	levels := strings.Split(topic, "/")
	switch {
	case !gatesOnly(topic):
		return false
	case levels[0] == "thermogate":
		return levels[1] == g.Site && levels[2] == g.Name
	case levels[0] == "spBv1.0":
		return levels[3] == g.Name
	case strings.HasSuffix(topic, "/config"):
		return levels[len(levels)-2] == g.discoveryID()
	default: // ONVIF with a prefix of its own does not say of which gate it is
		return true
	}
}

// mayHear says whether a filter takes in nothing of other gates.
func (g Gate) mayHear(filter string) bool {
	levels := strings.Split(filter, "/")
	switch {
	case levels[0] == "thermogate":
		return len(levels) > 3 && levels[1] == g.Site && levels[2] == g.Name
	case levels[0] == "spBv1.0":
		return len(levels) > 2 && levels[1] == "STATE" || len(levels) > 3 && levels[3] == g.Name
	default: // with a prefix of their own, such as "homeassistant/status"
		return !strings.ContainsAny(filter, "+#$") && !gatesOnly(filter)
	}
}

// gatesOnly says whether only gates publish to a topic: what they found and how they are, in every form. It takes the
// rest of the topics of a gate for its own, too, but for those on which the gate is spoken to.
func gatesOnly(topic string) bool {
	levels := strings.Split(topic, "/")
	switch {
	case levels[0] == "thermogate" && len(levels) > 3:
		return levels[3] != "command" && levels[3] != "alert" && levels[3] != "stored" && levels[3] != "passes"
	case levels[0] == "spBv1.0" && len(levels) > 3:
		switch levels[2] {
		case "NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH":
			return true
		}
		return false
	case strings.HasSuffix(topic, "/config") && strings.Contains(topic, "/device/thermogate_"): // Home Assistant's discovery
		return true
	default:
		return strings.Contains(topic, "/onvif-ej/")
	}
}

// affordable refuses a topic or filter that would cost the broker much.
func affordable(topic string) bool {
	return len(topic) <= brokerMaxTopic && strings.Count(topic, "/") < brokerMaxLevels
}
