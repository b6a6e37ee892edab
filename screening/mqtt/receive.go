package mqtt

import (
	"context"
	"errors"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Message is what a broker hands on.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // it was kept from before the subscription
	QoS      byte // one of 0 no broker has kept for somebody who was away
}

// Receive subscribes to filters with QoS 1 and calls handle with each message, one at a time, until ctx ends or the
// connection breaks off, which is the error. Once it is subscribed it calls ready.
func Receive(ctx context.Context, cfg Config, clientID string, filters []string, ready func(), handle func(Message)) error {
	conn, err := connect(ctx, cfg, clientID, nil, func(_ paho.Client, m paho.Message) {
		handle(Message{m.Topic(), m.Payload(), m.Retained(), m.Qos()})
	})
	if err != nil {
		return err
	}
	defer conn.Disconnect(250)
	subscriptions := map[string]byte{}
	for _, filter := range filters {
		subscriptions[filter] = 1
	}
	token := conn.SubscribeMultiple(subscriptions, nil).(*paho.SubscribeToken)
	if err := wait(ctx, token, connectTimeout); err != nil {
		return fmt.Errorf("mqtt.broker %s: subscribing: %w", cfg.Broker, err)
	}
	for filter, granted := range token.Result() {
		if granted > 2 {
			return fmt.Errorf("mqtt.broker %s: user %q may not subscribe to %s", cfg.Broker, cfg.User, filter)
		}
	}
	ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-conn.lost:
		return fmt.Errorf("mqtt.broker %s: the connection broke off: %w", cfg.Broker, err)
	}
}

// Forget removes what the broker retains of gates that are no more.
func Forget(ctx context.Context, cfg Config, gates []Gate) error {
	conn, err := connect(ctx, cfg, "thermogate-forget", nil, nil)
	if err != nil {
		return err
	}
	defer conn.Disconnect(250)
	var errs []error
	for _, gate := range gates {
		errs = append(errs, wait(ctx, conn.Publish(gate.StatusTopic(), 1, true, []byte{}), connectTimeout))
	}
	return errors.Join(errs...)
}
