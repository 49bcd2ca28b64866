package target

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// asking is a provider that reads before it writes.
type asking struct {
	client *http.Client
	fails  error
}

func (p *asking) Render(*notify.Notification) ([]notify.Payload, error) { return nil, nil }

func (p *asking) Deliver(ctx context.Context, _ notify.Payload) error {
	if p.fails != nil {
		return p.fails
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://git.example.com/statuses/1?page=1", http.NoBody)
	if err != nil {
		return err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func TestPreviewOfAProviderThatReadsFirst(t *testing.T) {
	t.Parallel()
	config := NewConfig()
	config.Type, config.Address = "generic", "https://git.example.com/owner/repository"
	p, err := NewPreview(t.Context(), component.MustNewID("flux_notify"), &config)
	require.NoError(t, err)
	p.provider = &asking{client: &http.Client{Transport: p.recorder}}
	payload := notify.Payload{
		Method: http.MethodPost, Path: "/statuses/1", Body: []byte(`{"state":"success"}`),
		Header: http.Header{"Content-Type": {"text/x"}, "Accept": {"text/y"}},
	}
	assert.Equal(t, Request{
		Method: http.MethodPost, URL: "/statuses/1", Body: payload.Body,
		Headers:    []notify.Header{{Name: "Accept", Value: "text/y"}, {Name: "Content-Type", Value: "text/x"}},
		ReadsFirst: []string{"GET https://git.example.com/[REDACTED]?page=1"},
	}, p.request(t.Context(), payload))

	p.provider = &asking{fails: notify.Permanentf("x", "no commit in it")}
	assert.Equal(t, "no commit in it", p.request(t.Context(), payload).Fails)
}
