package fluxeventreceiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// retryAfter is when a sender may come again, in seconds. Flux's client repeats
// five times and takes the hint.
const retryAfter = "5"

// The reasons of refusals, for the metric.
const (
	reasonNotAnEvent     = "not_an_event"
	reasonAuthentication = "authentication"
	reasonSignature      = "signature"
	reasonTooLarge       = "too_large"
	reasonEncoding       = "encoding"
	reasonUnreadable     = "unreadable"
	reasonPipeline       = "pipeline"
)

// maxHeaderBytes bounds what a request's headers take before anything is known
// of their sender. net/http's default is 1 MiB; events come with a few hundred
// bytes, and proxies add a token or two.
const maxHeaderBytes = 64 << 10

// maxZstdWindow is the window that every decoder has to support
// (https://www.rfc-editor.org/rfc/rfc8878.html#section-3.1.1.1.2: 8 MB). The
// decoder of confighttp takes any, and a few bytes make it reserve 512 MiB.
const maxZstdWindow = 8 << 20

func openZstd(body io.ReadCloser) (io.ReadCloser, error) {
	decoder, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return decoder.IOReadCloser(), nil
}

// format names the receiver's input in receiverhelper's spans.
const format = "flux_event"

func (r *eventReceiver) newServer(ctx context.Context, host component.Host) (*http.Server, error) {
	// The HTTP instrumentation's metrics cost as much as reading an event does,
	// and say less than the receiver's own.
	telemetry := r.set.TelemetrySettings
	telemetry.MeterProvider = noop.NewMeterProvider()
	server, err := r.config.ServerConfig.ToServer(ctx, host.GetExtensions(), telemetry,
		http.HandlerFunc(r.serve), confighttp.WithErrorHandler(r.refuseEarly), confighttp.WithDecoder("zstd", openZstd))
	if err != nil {
		return nil, err
	}
	server.MaxHeaderBytes = maxHeaderBytes
	return server, nil
}

func (r *eventReceiver) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == r.config.HealthPath {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			notAllowed(w, "GET, HEAD")
			return
		}
		answer(w, http.StatusOK, "ok")
		return
	}
	cluster, found := r.clusterOf(req.URL.Path)
	switch {
	case !found:
		answer(w, http.StatusNotFound, r.notFound())
	case req.Method != http.MethodPost:
		notAllowed(w, "POST")
	default:
		r.post(w, req, cluster)
	}
}

// clusterOf is the cluster of what is posted to a path, empty where that does
// not say. found is false for a path to which events are not posted.
func (r *eventReceiver) clusterOf(path string) (cluster string, found bool) {
	parent, variable := r.config.clusterPath()
	if !variable {
		return r.config.Cluster, path == parent
	}
	cluster, found = strings.CutPrefix(path, parent)
	return cluster, found && validCluster(cluster)
}

func (r *eventReceiver) notFound() string {
	line := "not found: events are posted to " + r.config.Path
	if _, variable := r.config.clusterPath(); variable {
		line += ", where " + clusterVariable + " is " + clusterName
	}
	return line
}

func notAllowed(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	answer(w, http.StatusMethodNotAllowed, "method not allowed, expected "+allowed)
}

// answer writes one line.
func answer(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text.Printable(line)+"\n") //nolint:gosec // plain text, which nosniff makes browsers respect
}

// buffers holds what bodies are read into; nothing of an event refers to them.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept, in bytes.
const maxPooled = 64 << 10

func (r *eventReceiver) post(w http.ResponseWriter, req *http.Request, cluster string) {
	ctx := req.Context()
	buffer := buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxPooled {
			buffers.Put(buffer)
		}
	}()
	if _, err := buffer.ReadFrom(req.Body); err != nil {
		r.refuseBody(ctx, w, err)
		return
	}
	event, ok := r.read(ctx, w, req.Header, buffer.Bytes(), cluster)
	if !ok {
		return
	}
	r.take(ctx, w, event)
}

// read verifies and parses a body. ok is false where it has been refused.
func (r *eventReceiver) read(ctx context.Context, w http.ResponseWriter, header http.Header, body []byte, cluster string) (_ *fluxevent.Event, ok bool) {
	if err := r.verifier.before(header, body, cluster); err != nil {
		r.refuse(ctx, w, http.StatusUnauthorized, reasonSignature, err.Error())
		return nil, false
	}
	event, err := fluxevent.Parse(body)
	if err != nil {
		r.refuse(ctx, w, http.StatusBadRequest, reasonNotAnEvent, err.Error())
		return nil, false
	}
	event.Cluster = cluster
	if cluster != "" {
		return &event, true
	}
	event.Cluster = strings.TrimSpace(event.Metadata[fluxevent.ClusterKey])
	if err := r.verifier.verifyClaims(header, body, &event); err != nil {
		r.refuse(ctx, w, http.StatusUnauthorized, reasonSignature, err.Error())
		return nil, false
	}
	return &event, true
}

// take brings an event into the pipeline, unless it is known.
func (r *eventReceiver) take(ctx context.Context, w http.ResponseWriter, event *fluxevent.Event) {
	entry, duplicate, err := r.known.enter(ctx, event)
	if err != nil {
		r.refusePipeline(ctx, w, err) // the sender has gone; without this the answer would be 200
		return
	}
	if duplicate {
		r.telemetry.ReceiverFluxEventDuplicates.Add(ctx, 1)
		// Tells another collector's exporter that this is no rate limit.
		w.Header().Set("X-Flux-Event", "duplicate")
		// No text: Flux's client leaves it unread, and with it a connection open.
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	accepted := false
	defer func() { // also when the pipeline panics: nobody is to wait for its verdict for ever
		if !accepted {
			r.known.forget(entry)
		}
	}()
	op := r.obs.StartLogsOp(ctx)
	err = r.next.ConsumeLogs(op, r.record(event, entry))
	r.obs.EndLogsOp(op, format, 1, err)
	if err != nil {
		r.refusePipeline(ctx, w, err)
		return
	}
	accepted = true
	r.known.accept(entry)
	r.telemetry.ReceiverFluxEventAccepted.Add(ctx, 1)
	w.WriteHeader(http.StatusAccepted)
}

// record makes the log record of an event that arrives now. Its UID makes
// exporters ignore what a sender repeats, which is not wanted without
// deduplication.
func (r *eventReceiver) record(event *fluxevent.Event, entry *entry) plog.Logs {
	if entry == nil {
		return fluxevent.ToLogs(event, time.Now())
	}
	return fluxevent.ToLogsWithUID(event, time.Now(), entry.relapse)
}

// refusePipeline answers so that Flux's client does the right thing: it repeats
// 5xx, and gives up on 4xx.
func (r *eventReceiver) refusePipeline(ctx context.Context, w http.ResponseWriter, err error) {
	r.set.Logger.Debug("the pipeline did not take an event", zap.Error(err))
	if consumererror.IsPermanent(err) {
		r.refuse(ctx, w, http.StatusBadRequest, reasonPipeline, "the pipeline refuses this event for good")
		return
	}
	w.Header().Set("Retry-After", retryAfter)
	r.refuse(ctx, w, http.StatusServiceUnavailable, reasonPipeline, "the pipeline cannot take the event now, come again")
}

func (r *eventReceiver) refuseBody(ctx context.Context, w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		r.refuse(ctx, w, http.StatusRequestEntityTooLarge, reasonTooLarge, r.tooLarge())
		return
	}
	r.refuse(ctx, w, http.StatusBadRequest, reasonUnreadable, "the body cannot be read: "+err.Error())
}

// refuseEarly answers for confighttp, which authenticates senders and opens
// encoded bodies before requests come here.
func (r *eventReceiver) refuseEarly(w http.ResponseWriter, req *http.Request, message string, status int) {
	ctx := req.Context()
	switch {
	case status == http.StatusUnauthorized:
		r.refuse(ctx, w, status, reasonAuthentication, message)
	case strings.Contains(message, "exceeds max request body size"), strings.Contains(message, "request body too large"):
		r.refuse(ctx, w, http.StatusRequestEntityTooLarge, reasonTooLarge, r.tooLarge())
	default:
		r.refuse(ctx, w, status, reasonEncoding, "the body cannot be decoded: "+message)
	}
}

func (r *eventReceiver) refuse(ctx context.Context, w http.ResponseWriter, status int, reason, line string) {
	r.telemetry.ReceiverFluxEventRefused.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
	answer(w, status, line)
}

func (r *eventReceiver) tooLarge() string {
	return fmt.Sprintf("the event is too large: more than %d bytes", r.config.ServerConfig.MaxRequestBodySize)
}
