package join

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"thermogate/screening/mqtt"
)

// ownAccounts are those at a gate's own broker.
type ownAccounts struct{ broker *mqtt.Broker }

func (a ownAccounts) fits(gate mqtt.Gate) error { return a.broker.MayAdmit(gate) }

func (ownAccounts) user(gate mqtt.Gate) string { return gate.Name }

func (ownAccounts) clientIDOf(mqtt.Gate) string { return "" }

func (a ownAccounts) admit(_ context.Context, gate mqtt.Gate, password string) error {
	return a.broker.Admit(gate, password)
}

func (a ownAccounts) expel(_ context.Context, gate mqtt.Gate) error { return a.broker.Expel(gate) }

// mosquittoAccounts are those that mosquitto's dynamic security plugin keeps: a client and a role for each gate, of the same
// name. (Its commands: mosquitto.org/documentation/dynamic-security.)
type mosquittoAccounts struct {
	cfg      mqtt.Config
	clientID string
	mu       sync.Mutex // one connection with this client id at a time
}

func (*mosquittoAccounts) fits(mqtt.Gate) error { return nil }

func (*mosquittoAccounts) user(gate mqtt.Gate) string { return gate.Site + "/" + gate.Name }

func (*mosquittoAccounts) clientIDOf(gate mqtt.Gate) string { return gate.ClientID() }

type dynamicCommand struct {
	Command  string        `json:"command"`
	ID       string        `json:"correlationData"`
	Username string        `json:"username,omitempty"`
	Password string        `json:"password,omitempty"`
	ClientID string        `json:"clientid,omitempty"`
	Rolename string        `json:"rolename,omitempty"`
	ACLs     []dynamicRule `json:"acls,omitempty"`
	Roles    []dynamicRole `json:"roles,omitempty"`
}

type dynamicRole struct {
	Rolename string `json:"rolename"`
}

type dynamicRule struct {
	Type     string `json:"acltype"`
	Topic    string `json:"topic"`
	Allow    bool   `json:"allow"`
	Priority int    `json:"priority"`
}

// rulesOf let a gate speak on its own topics, and hear what concerns it alone. They are those of deploy/mosquitto/acl.
func rulesOf(gate mqtt.Gate) []dynamicRule {
	all := gate.AlertTopic("+")
	own := all[:len(all)-len("alert/+")] // thermogate/SITE/GATE/
	var rules []dynamicRule
	for _, topic := range []string{"screening/+", "status", "resent", "snapshot/+", "acknowledgement/#"} {
		rules = append(rules, dynamicRule{"publishClientSend", own + topic, true, 1})
	}
	for _, topic := range []string{"screening/+", "status", "command/#", "alert/+", "stored", "passes"} {
		rules = append(rules, dynamicRule{"subscribePattern", own + topic, true, 1}, dynamicRule{"publishClientReceive", own + topic, true, 1})
	}
	for _, topic := range []string{"#", "$SYS/#", "$CONTROL/#"} { // the plugin lets everybody receive what is not forbidden
		rules = append(rules, dynamicRule{"publishClientReceive", topic, false, 0})
	}
	return rules
}

func (a *mosquittoAccounts) admit(ctx context.Context, gate mqtt.Gate, password string) error {
	name := a.user(gate)
	_, err := a.command(ctx,
		dynamicCommand{Command: "deleteClient", Username: name}, // which disconnects it
		dynamicCommand{Command: "deleteRole", Rolename: name},
		dynamicCommand{Command: "createRole", Rolename: name, ACLs: rulesOf(gate)},
		dynamicCommand{Command: "createClient", Username: name, Password: password, ClientID: a.clientIDOf(gate), Roles: []dynamicRole{{name}}})
	return err
}

func (a *mosquittoAccounts) expel(ctx context.Context, gate mqtt.Gate) error {
	name := a.user(gate)
	absent, err := a.command(ctx, dynamicCommand{Command: "deleteClient", Username: name}, dynamicCommand{Command: "deleteRole", Rolename: name})
	if err == nil && absent {
		return errNoAccount
	}
	return err
}

// command has the plugin do all of some things. What is to be deleted need not be there; absent tells that a client was not.
func (a *mosquittoAccounts) command(ctx context.Context, commands ...dynamicCommand) (absent bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := rand.Text()
	for i := range commands {
		commands[i].ID = id
	}
	request, err := json.Marshal(map[string][]dynamicCommand{"commands": commands})
	if err != nil {
		return false, err
	}
	var said struct {
		Responses []struct {
			Command string `json:"command"`
			Error   string `json:"error"`
		} `json:"responses"`
	}
	const topic = "$CONTROL/dynamic-security/v1"
	answer, err := mqtt.Ask(ctx, a.cfg, a.clientID, topic, topic+"/response", request, func(answer []byte) bool {
		return bytes.Contains(answer, []byte(id))
	})
	if err == nil {
		err = json.Unmarshal(answer, &said)
	}
	if err != nil {
		return false, fmt.Errorf("dynamic security of mosquitto: %w", err)
	}
	var errs []error
	for _, one := range said.Responses {
		switch one.Error {
		case "", "Role not found":
		case "Client not found":
			absent = true
		default:
			errs = append(errs, fmt.Errorf("dynamic security of mosquitto: %s: %s", one.Command, one.Error))
		}
	}
	if len(said.Responses) < len(commands) {
		errs = append(errs, errors.New("dynamic security of mosquitto: it did not answer all that it was asked"))
	}
	return absent, errors.Join(errs...)
}
