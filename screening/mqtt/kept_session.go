package mqtt

import (
	"context"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Delivery is a message that the broker counts as delivered once Done is called, and else delivers again over the next
// connection.
type Delivery struct {
	Message
	message paho.Message
}

// Done acknowledges the message. After the connection has ended it does nothing.
func (d Delivery) Done() { d.message.Ack() }

// KeptSession is a connection whose session the broker keeps when it ends: subscriptions, and what comes in meanwhile.
type KeptSession struct{ conn *connection }

// ConnectKept connects under a session that is kept, subscribes to filters with QoS 1, and calls handle with each message,
// one at a time and in order. Who takes up a session with other filters is still sent what the old ones let through.
func ConnectKept(ctx context.Context, cfg Config, clientID string, filters []string, handle func(Delivery)) (*KeptSession, error) {
	conn, err := connect(ctx, cfg, clientID, nil, func(_ paho.Client, m paho.Message) {
		handle(Delivery{Message{m.Topic(), m.Payload(), m.Retained(), m.Qos()}, m})
	}, func(options *paho.ClientOptions) {
		options.SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true)
	})
	if err != nil {
		return nil, err
	}
	subscriptions := map[string]byte{}
	for _, filter := range filters {
		subscriptions[filter] = 1
	}
	token := conn.SubscribeMultiple(subscriptions, nil).(*paho.SubscribeToken)
	if err := wait(ctx, token, connectTimeout); err != nil {
		conn.Disconnect(0)
		return nil, fmt.Errorf("mqtt.broker %s: subscribing: %w", cfg.Broker, err)
	}
	for filter, granted := range token.Result() {
		if granted > 2 {
			conn.Disconnect(0)
			return nil, fmt.Errorf("mqtt.broker %s: user %q may not subscribe to %s", cfg.Broker, cfg.User, filter)
		}
	}
	return &KeptSession{conn}, nil
}

// Listen subscribes to one more filter, with QoS 0: what comes while the session is away is not kept. A broker that does not
// allow it is an error, and the session goes on without.
func (k *KeptSession) Listen(ctx context.Context, filter string) error {
	token := k.conn.Subscribe(filter, 0, nil).(*paho.SubscribeToken)
	if err := wait(ctx, token, connectTimeout); err != nil {
		return fmt.Errorf("subscribing to %s: %w", filter, err)
	}
	if token.Result()[filter] > 2 {
		return fmt.Errorf("the broker does not let this user subscribe to %s", filter)
	}
	return nil
}

// Lost delivers why the connection broke off, once it does.
func (k *KeptSession) Lost() <-chan error { return k.conn.lost }

// Send publishes with QoS 1 and does not wait. Whether it got through, the returned function says.
func (k *KeptSession) Send(topic string, retained bool, payload []byte) (arrived func(context.Context) error) {
	token := k.conn.Publish(topic, 1, retained, payload)
	return func(ctx context.Context) error { return wait(ctx, token, writeTimeout) }
}

// Close ends the connection. The broker keeps the session.
func (k *KeptSession) Close() { k.conn.Disconnect(100) }
