package fluxevent

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func benchmarkEvent(b *testing.B) ([]byte, Event) {
	b.Helper()
	body := recordedEvents(b)["kustomization-failed.json"]
	e, err := Parse(body)
	require.NoError(b, err)
	return body, e
}

func BenchmarkParse(b *testing.B) {
	body, _ := benchmarkEvent(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

// large is an event with as many metadata keys as there may be.
func large(b *testing.B) Event {
	b.Helper()
	_, e := benchmarkEvent(b)
	for i := range MaxMetadata {
		e.Metadata[fmt.Sprintf("%s/key-%04d", Group, i)] = "value"
	}
	return e
}

func BenchmarkToLogs(b *testing.B) {
	_, usual := benchmarkEvent(b)
	for name, e := range map[string]Event{"usual": usual, "large": large(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ToLogs(&e, arrival)
			}
		})
		b.Run(name+"-with-uid", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ToLogsWithUID(&e, arrival, 0)
			}
		})
	}
}

func BenchmarkFromRecord(b *testing.B) {
	_, e := benchmarkEvent(b)
	resource, record, errorFrom := first(ToLogs(&e, arrival))
	b.ReportAllocs()
	for b.Loop() {
		FromRecord(resource, record, errorFrom)
	}
}

func BenchmarkObjectOf(b *testing.B) {
	_, e := benchmarkEvent(b)
	resource, record := only(ToLogs(&e, arrival))
	b.ReportAllocs()
	for b.Loop() {
		ObjectOf(resource, record)
	}
}

func BenchmarkMarshal(b *testing.B) {
	_, e := benchmarkEvent(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(&e); err != nil {
			b.Fatal(err)
		}
	}
}
