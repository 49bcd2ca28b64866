package main

import (
	"context"
	"crypto/tls"
	"maps"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// yamlMap is a piece of configuration.
type yamlMap = map[string]any

// settings are what differs between the collectors of the scenarios.
type settings struct {
	name      string             // default: collector
	receiver  yamlMap            // of flux_event
	exporter  yamlMap            // of flux_notify; default: a generic webhook, quick to try again
	exporters map[string]yamlMap // all exporters, instead of that one
	// storage is the folder of a persistent queue; empty: the queue is in memory.
	storage string
	metrics int // port of its own metrics; 0: any
	// inside, if there is one, is the room in which it runs.
	inside *room
	env    []string
	// launch starts the program; nil: (*exec.Cmd).Start.
	launch func(*exec.Cmd) error
}

// persistent are the settings of a queue on disk.
func (s *stage) persistent() settings {
	return settings{storage: s.path("storage")}
}

// path is that of a file of the scenario.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) endpoint(config *tls.Config) error {
	if s.sink != nil {
		s.sink.down()
	}
	var err error
	s.sink, err = newSink(s.ledger, config)
	return err
}

// start starts what stands between the driver and the endpoint: the collector,
// or what it is compared with.
func (s *stage) start(ctx context.Context, given settings) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := loopback(port)
	if s.forget {
		return s.add(ctx, &process{
			name:    "forget",
			address: address,
			command: func() *exec.Cmd { return s.own(forgetCommand, address, s.sink.url()) },
			ready:   func() bool { return answers("http://" + address + "/healthz") },
		})
	}
	if given.name == "" {
		given.name = "collector"
	}
	file := filepath.Join(s.dir, given.name+".yaml")
	if err := s.write(file, address, given); err != nil {
		return nil, err
	}
	return s.add(ctx, &process{
		name:    given.name,
		address: address,
		command: func() *exec.Cmd {
			cmd := exec.Command(s.collector, "--config", file)
			if given.inside != nil {
				cmd = given.inside.command(cmd)
			}
			cmd.Env = append(s.plain(), given.env...)
			return cmd
		},
		launch: given.launch,
		ready:  func() bool { return answers("http://" + address + "/healthz") },
	})
}

// plain is an environment in which nothing of the user's, such as a proxy, stands
// in the way.
func (s *stage) plain() []string { return []string{"HOME=" + s.dir} }

// write makes a configuration file.
func (s *stage) write(file, address string, given settings) error {
	if given.metrics == 0 {
		port, err := freePort()
		if err != nil {
			return err
		}
		given.metrics = port
	}
	receiver := yamlMap{"endpoint": address}
	maps.Copy(receiver, given.receiver)
	exporters := given.exporters
	if exporters == nil {
		exporters = map[string]yamlMap{"flux_notify": s.webhook(given.exporter)}
	}
	extensions := yamlMap{}
	if given.storage != "" {
		extensions["file_storage"] = yamlMap{"directory": given.storage, "create_directory": true}
		for _, e := range exporters {
			queue := yamlMap{"storage": "file_storage"}
			if more, ok := e["sending_queue"].(yamlMap); ok {
				maps.Copy(queue, more)
			}
			e["sending_queue"] = queue
		}
	}
	text, err := yaml.Marshal(yamlMap{
		"receivers":  yamlMap{"flux_event": receiver},
		"exporters":  exporters,
		"extensions": extensions,
		"service": yamlMap{
			"extensions": keys(extensions),
			"pipelines":  yamlMap{"logs": yamlMap{"receivers": []string{"flux_event"}, "exporters": keys(exporters)}},
			"telemetry": yamlMap{"metrics": yamlMap{"readers": []any{
				yamlMap{"pull": yamlMap{"exporter": yamlMap{"prometheus": yamlMap{"host": "127.0.0.1", "port": given.metrics}}}},
			}}},
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// webhook is an exporter that posts to the sink, with more settings.
func (s *stage) webhook(more yamlMap) yamlMap {
	e := yamlMap{
		"type":             "generic",
		"address":          s.sink.url(),
		"retry_on_failure": yamlMap{"initial_interval": "200ms", "max_interval": "1s"},
	}
	maps.Copy(e, more)
	return e
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
