package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// brokerCommand makes this program a Kafka broker: arguments are its port and
// its folder.
const brokerCommand = "broker"

// topic is that of config/kafka-*.yaml.
const topic = "flux-events"

// broker is one broker that keeps its log, its groups and their offsets in a
// folder, and finds them there when it is started again.
func broker(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: broker PORT FOLDER")
	}
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(port), kfake.NumBrokers(1), kfake.ClusterID("chaos"),
		kfake.DataDir(arguments[1]), kfake.SyncWrites(),
		kfake.SeedTopics(6, topic), kfake.GroupMinSessionTimeout(time.Second),
	)
	if err != nil {
		return err
	}
	defer cluster.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	return nil
}

// kafka may repeat, since all parts are killed. It may also change the order:
// when a notifier dies, its partitions go to the other, which delivers what comes
// after; what the dead one had taken, and not yet delivered, it finds in its own
// queue when it starts again. Without a queue the same events can be with both
// for a moment, until the dead one's last request has come through.
var kafka = allowance{repeat: true, overtake: true}

// throughKafka runs the two configurations that are ready for it: one collector
// receives, two notify, and the broker is between them. Each is killed in turn.
// more are settings of those that notify.
func throughKafka(more []string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		s.sink.feel(uneven)
		between, err := s.broker(ctx)
		if err != nil {
			return err
		}
		notifiers := make([]*process, 2)
		for i := range notifiers {
			if notifiers[i], err = s.ready(ctx, fmt.Sprintf("notify-%d", i+1), "kafka-notify.yaml", between.address, more...); err != nil {
				return err
			}
		}
		front, err := s.ready(ctx, "receive", "kafka-receive.yaml", between.address)
		if err != nil {
			return err
		}
		rounds := 2
		if !s.full {
			rounds = 1
		}
		return s.flow(ctx, front.address, func() error {
			for range rounds {
				if err := s.killInTurn(ctx, between, notifiers[0], front); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (s *stage) broker(ctx context.Context) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return s.add(ctx, &process{
		name:    brokerCommand,
		address: loopback(port),
		command: func() *exec.Cmd { return s.own(brokerCommand, strconv.Itoa(port), filepath.Join(s.dir, "broker")) },
		ready:   func() bool { return listens(loopback(port)) },
	})
}

// killInTurn kills each, the last of which is the one that takes events: its
// death senders feel; that of the others, those who wait for notifications.
func (s *stage) killInTurn(ctx context.Context, processes ...*process) error {
	for i, p := range processes {
		s.await(ctx, func() bool { return s.ledger.missing() < 2*s.rate }) // the last death is got over
		pause(ctx, s.moment(s.pick(10*time.Second, 2*time.Second)))
		felt := s.grows()
		if i == len(processes)-1 {
			before := s.ledger.answered(noAnswer)
			felt = func() bool { return s.ledger.answered(noAnswer) > before }
		}
		p.kill()
		missed := s.await(ctx, felt)
		pause(ctx, s.moment(s.pick(5*time.Second, time.Second)))
		if err := errors.Join(bit(missed, "nobody missed "+p.name), p.start(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// grows reports whether what is on its way has heaped up since it was least.
func (s *stage) grows() func() bool {
	least := s.ledger.missing()
	return func() bool {
		now := s.ledger.missing()
		least = min(least, now)
		return now > least+2*consumers
	}
}

// hasty makes the configurations try again sooner, so that a row takes no
// hours, and keeps them off the port of the collector's own metrics, which they
// would all want.
var hasty = map[string][]string{
	"kafka-receive.yaml": {
		"service::telemetry::metrics::level: none",
		"exporters::kafka::retry_on_failure: {initial_interval: 200ms, max_interval: 1s}",
	},
	"kafka-notify.yaml": {
		"service::telemetry::metrics::level: none",
		"receivers::kafka::session_timeout: 2s",
		"receivers::kafka::heartbeat_interval: 500ms",
		"exporters::flux_notify::retry_on_failure: {initial_interval: 200ms, max_interval: 1s}",
	},
}

// ready starts a collector on a configuration of the folder config, as it is
// there: what differs from place to place comes from the environment.
func (s *stage) ready(ctx context.Context, name, config, broker string, more ...string) (*process, error) {
	events, err := freePort()
	if err != nil {
		return nil, err
	}
	health, err := freePort()
	if err != nil {
		return nil, err
	}
	storage := filepath.Join(s.dir, name)
	if err := os.Mkdir(storage, 0o700); err != nil {
		return nil, err
	}
	arguments := []string{"--config", filepath.Join(s.configs, config)}
	for _, override := range slices.Concat(hasty[config], more) {
		arguments = append(arguments, "--config", "yaml:"+override)
	}
	return s.add(ctx, &process{
		name:    name,
		address: loopback(events),
		command: func() *exec.Cmd {
			cmd := exec.Command(s.collector, arguments...)
			cmd.Env = append(s.plain(),
				"FLUX_EVENT_ENDPOINT="+loopback(events), "HEALTH_ENDPOINT="+loopback(health),
				"KAFKA_BROKER="+broker, "STORAGE_DIR="+storage, "NOTIFY_ADDRESS="+s.sink.url())
			return cmd
		},
		ready: func() bool { return answers("http://" + loopback(health) + "/") },
	})
}
