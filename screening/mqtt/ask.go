package mqtt

import (
	"context"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Ask publishes a request over a connection of its own, and returns the first message on the topic of the answers that is one
// to it.
func Ask(ctx context.Context, cfg Config, clientID, topic, answers string, request []byte, is func(answer []byte) bool) ([]byte, error) {
	received := make(chan []byte, 1)
	conn, err := connect(ctx, cfg, clientID, nil, func(_ paho.Client, m paho.Message) {
		if !is(m.Payload()) {
			return
		}
		select {
		case received <- m.Payload():
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	defer conn.Disconnect(250)
	token := conn.Subscribe(answers, 1, nil).(*paho.SubscribeToken)
	if err := wait(ctx, token, connectTimeout); err != nil {
		return nil, fmt.Errorf("mqtt.broker %s: subscribing to %s: %w", cfg.Broker, answers, err)
	}
	if token.Result()[answers] > 2 {
		return nil, fmt.Errorf("mqtt.broker %s: user %q may not subscribe to %s", cfg.Broker, cfg.User, answers)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn.Publish(topic, 1, false, request)
	select {
	case answer := <-received:
		return answer, nil
	case err := <-conn.lost:
		return nil, fmt.Errorf("mqtt.broker %s: the connection broke off: %w", cfg.Broker, err)
	case <-ctx.Done():
		return nil, fmt.Errorf("mqtt.broker %s: nothing answers on %s", cfg.Broker, answers)
	}
}
