package azureeventhub

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"

	"github.com/fluxnotify/otelcol-flux/internal/azureid"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// final is an error that the SDK gives back as it is. What it does not know it
// takes for a lost connection, and its loop that renews authorizations would
// repeat that without a pause.
type final struct{ cause *notify.Error }

// NonRetriable is the mark by which the SDK knows.
func (final) NonRetriable() {}

func (e final) Error() string { return e.cause.Error() }

// Unwrap gives the error that Deliver returns.
func (e final) Unwrap() error { return e.cause }

// credential is the token, else the ambient identity.
func (p *Provider) credential(s notify.Settings) (azcore.TokenCredential, error) {
	if s.Token != "" {
		p.token = newStaticToken(s.Token)
		return p.token, nil
	}
	if !trusts(p.endpoint.host) {
		return nil, fmt.Errorf("channel: the collector's own Azure identity is used for Event Hubs namespaces in %s only: set token for %q", strings.Join(domains, ", "), p.endpoint.host)
	}
	id, err := azureid.New(s, scope)
	if err != nil {
		return nil, err
	}
	return &bounded{id: id, life: p.life, timeout: s.ConnectTimeout, last: &p.line.token}, nil
}

// domains are those of Event Hubs in Azure's clouds
// (https://learn.microsoft.com/azure/event-hubs/event-hubs-features#namespace,
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
// https://learn.microsoft.com/azure/china/resources-developer-guide).
var domains = []string{"servicebus.windows.net", "servicebus.usgovcloudapi.net", "servicebus.chinacloudapi.cn"}

// trusts reports whether the collector's own identity may speak to a host. Tests have their
// own.
var trusts = func(host string) bool { return azureid.TrustsHost(host, domains...) }

// scope is what the SDK asks for.
const scope = "https://eventhubs.azure.net//.default"

// staticToken is a token that somebody else renews.
type staticToken struct {
	token   string
	expires time.Time
}

// newStaticToken reads when the token expires. One that does not say is used for
// as long as it is accepted; a day is the longest that Microsoft Entra grants:
// https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes
func newStaticToken(token string) *staticToken {
	t := &staticToken{token: token, expires: time.Now().Add(24 * time.Hour)}
	var claims jwt.RegisteredClaims
	// It is the service that verifies it.
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err == nil && claims.ExpiresAt != nil {
		t.expires = claims.ExpiresAt.Time
	}
	return t
}

func (t *staticToken) expired() bool { return !time.Now().Before(t.expires) }

// refusal can be repeated: the next token may be on its way into the folder.
func (t *staticToken) refusal() *notify.Error {
	return notify.Retryablef("401", "token: expired at %s, put a new one into its place (a file token in secret_dir is read again)", t.expires.UTC().Format(time.RFC3339))
}

// GetToken implements azcore.TokenCredential.
func (t *staticToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if t.expired() {
		return azcore.AccessToken{}, final{t.refusal()}
	}
	return azcore.AccessToken{Token: t.token, ExpiresOn: t.expires}, nil
}

// bounded ends requests for a token: the SDK makes them without a context.
type bounded struct {
	id      *azureid.Identity
	life    context.Context
	timeout time.Duration
	last    *atomic.Pointer[string]
}

// GetToken implements azcore.TokenCredential.
func (b *bounded) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	ctx, cancel := context.WithTimeout(b.life, b.timeout)
	defer cancel()
	token, err := b.id.GetToken(ctx, o)
	if err != nil {
		return token, final{notify.AsError(err)}
	}
	b.last.Store(&token.Token)
	return token, nil
}

// OwnIdentity reports whether the collector's own identity speaks: a connection string has
// a key of its own.
func OwnIdentity(s notify.Settings) bool { return s.Token == "" && !strings.Contains(s.Address, "=") }
