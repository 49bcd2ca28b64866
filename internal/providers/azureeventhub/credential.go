package azureeventhub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
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
	id, err := identity(s)
	if err != nil {
		return nil, err
	}
	return &bounded{TokenCredential: id, life: p.life, timeout: s.ConnectTimeout, explain: p.noToken, last: &p.line.token}, nil
}

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

// identity is what a pod or a machine in Azure is: the workload identity that
// AKS' webhook announces in the environment, else a managed identity, which
// AZURE_CLIENT_ID picks where there are several. The chain of the SDK is longer;
// the rest of it is for developers' machines, and runs programs.
func identity(s notify.Settings) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{Transport: s.HTTP, Retry: policy.RetryOptions{MaxRetries: -1}}
	if os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "" {
		id, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: options})
		if err != nil {
			return nil, fmt.Errorf("token: is not set, and AZURE_FEDERATED_TOKEN_FILE announces a workload identity that cannot be used: %w", err)
		}
		return id, nil
	}
	managed := azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	id, err := azidentity.NewManagedIdentityCredential(&managed)
	if err != nil {
		return nil, fmt.Errorf("token: is not set, and a managed identity cannot be used: %w", err)
	}
	return id, nil
}

// bounded ends requests for a token: the SDK makes them without a context.
type bounded struct {
	azcore.TokenCredential
	life    context.Context
	timeout time.Duration
	explain func(error) *notify.Error
	last    *atomic.Pointer[string]
}

// GetToken implements azcore.TokenCredential.
func (b *bounded) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	ctx, cancel := context.WithTimeout(b.life, b.timeout)
	defer cancel()
	token, err := b.TokenCredential.GetToken(ctx, o)
	if err != nil {
		return token, final{b.explain(err)}
	}
	b.last.Store(&token.Token)
	return token, nil
}

// noToken says why there is none, by what the endpoint of tokens has answered.
func (p *Provider) noToken(err error) *notify.Error {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return notify.Retryablef("identity", "no token for the ambient identity: %s", p.quote(err.Error()))
	}
	answer := failed.RawResponse
	body, _ := runtime.Payload(answer) // without it, the status remains
	e := &notify.Error{
		Class: notify.Permanent, Type: strconv.Itoa(answer.StatusCode),
		Err: fmt.Errorf("no token for the ambient identity: the token endpoint answered %d %s: %s", answer.StatusCode, http.StatusText(answer.StatusCode), p.quote(string(body))),
	}
	delay, asked := httpsend.RetryAfter(answer.Header, time.Now())
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, asked && answer.StatusCode == http.StatusServiceUnavailable:
		e.Class, e.Delay = notify.Throttled, delay
	// While a machine's identity service is being updated, it answers 404 and 410:
	// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusGone:
		e.Class = notify.Retryable
	}
	return e
}
