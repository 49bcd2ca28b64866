// Package azureid speaks as the identity that a pod or a machine in Azure has: the
// workload identity which AKS announces in the environment, else a managed
// identity, which AZURE_CLIENT_ID picks where there are several
// (https://learn.microsoft.com/azure/developer/go/sdk/authentication/authentication-overview).
// The chain that the SDK has by default is longer: the rest of it runs programs of
// developers' machines.
package azureid

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// issuer stands for whoever gives tokens, which the environment decides, where a
// transport wants an address.
const issuer = "https://login.microsoftonline.com"

// Identity gets tokens for one API. The SDK keeps them until shortly before their
// end.
type Identity struct {
	credential azcore.TokenCredential
	transport  *httpsend.Transport
	options    policy.TokenRequestOptions
}

// New finds the identity of this environment. Nothing is dialled yet.
func New(s notify.Settings, scope string) (*Identity, error) {
	s.Address = issuer
	transport, err := httpsend.NewTransport(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	i := &Identity{transport: transport, options: policy.TokenRequestOptions{Scopes: []string{scope}}}
	// The exporter repeats what failed; the SDK would do so within a delivery.
	client := azcore.ClientOptions{Transport: teller{transport.Client()}, Retry: policy.RetryOptions{MaxRetries: -1}}
	if os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "" {
		i.credential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: client})
		if err != nil {
			return nil, errors.New("token: is not set, and AZURE_FEDERATED_TOKEN_FILE announces a workload identity without AZURE_CLIENT_ID or AZURE_TENANT_ID")
		}
		return i, nil
	}
	managed := azidentity.ManagedIdentityCredentialOptions{ClientOptions: client}
	if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	i.credential, err = azidentity.NewManagedIdentityCredential(&managed)
	if err != nil {
		return nil, errors.New("token: is not set, and this environment's managed identity cannot be used")
	}
	return i, nil
}

// judge knows that a machine's metadata service answers so while it is updated
// (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusNotFound && a.Status != http.StatusGone {
		return nil, false
	}
	return notify.Retryablef(strconv.Itoa(a.Status), "answered %d: %s", a.Status, a.Body), true
}

// Authorize gives the Authorization header, for httpsend.Options.
func (i *Identity) Authorize(ctx context.Context) (string, error) {
	token, err := i.GetToken(ctx, i.options)
	if err != nil {
		return "", err
	}
	return "Bearer " + token.Token, nil
}

// GetToken implements azcore.TokenCredential. Its errors are a *notify.Error.
func (i *Identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	var told error
	token, err := i.credential.GetToken(context.WithValue(ctx, failure{}, &told), options)
	if err == nil {
		return token, nil
	}
	if told != nil {
		err = told
	}
	e := notify.AsError(i.transport.Failure(ctx, err))
	return azcore.AccessToken{}, &notify.Error{
		Class: e.Class, Type: e.Type, Delay: e.Delay,
		Err: errors.New("no token is set, and Azure's identity service gave none: " + e.Error()),
	}
}

// failure is where a context keeps what became of its last request.
type failure struct{}

// teller does the SDK's requests, and tells how they failed: of an error the SDK
// keeps the words alone.
type teller struct{ client *http.Client }

// Do implements policy.Transporter.
func (t teller) Do(r *http.Request) (*http.Response, error) {
	res, err := t.client.Do(r) //nolint:gosec // the SDK makes the address, of its own and of the environment
	if told, ok := r.Context().Value(failure{}).(*error); ok && err != nil {
		*told = err
	}
	return res, err
}

var (
	_ azcore.TokenCredential = (*Identity)(nil)
	_ policy.Transporter     = teller{}
)
