package googlepubsub_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

type fields = map[string]any

// with are fields of credentials, some of them changed.
func with(base, changes fields) fields {
	all := maps.Clone(base)
	maps.Copy(all, changes)
	return all
}

func written(tb testing.TB, credentials fields) string {
	tb.Helper()
	b, err := json.Marshal(credentials)
	require.NoError(tb, err)
	return string(b)
}

const email = "flux@my-project.iam.gserviceaccount.com"

var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func serviceAccount(tb testing.TB) fields {
	tb.Helper()
	private, err := key()
	require.NoError(tb, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(tb, err)
	return fields{
		"type": "service_account", "project_id": project, "client_email": email, "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://oauth2.googleapis.com/token",
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://evil.example.com/s3cret"
	account := serviceAccount(t)
	user := fields{"type": "authorized_user", "client_id": "id", "client_secret": "s3cret", "refresh_token": "s3cret"}
	external := fields{
		"type": "external_account", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"audience":          "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
		"token_url":         "https://sts.googleapis.com/v1/token",
		"credential_source": fields{"file": "/var/run/token"},
	}
	impersonation := "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + email + ":generateAccessToken"
	impersonated := fields{"type": "impersonated_service_account", "service_account_impersonation_url": impersonation, "source_credentials": user}
	for _, c := range []struct {
		name, token, want string
	}{
		{"service account", written(t, account), ""},
		{"an old key", written(t, with(account, fields{"token_uri": "https://accounts.google.com/o/oauth2/token"})), ""},
		{"user", written(t, user), ""},
		{"external account", written(t, external), "token: the type must be one of service_account, authorized_user, impersonated_service_account"},
		{"external account, impersonating", written(t, with(external, fields{"service_account_impersonation_url": impersonation})), "token: the type must be one of"},
		{"impersonated", written(t, impersonated), ""},

		{"no JSON", "s3cret", "token: is not credentials in JSON"},
		{"a list", `["s3cret"]`, "token: is not credentials in JSON"},
		{"cut off", written(t, account)[:200], "token: is not credentials in JSON"},
		{"no type", `{"client_secret":"s3cret"}`, "token: the type must be one of service_account, "},
		{"an OAuth client", `{"installed":{"client_secret":"s3cret"}}`, "token: the type must be one of"},
		{"a type of its own", written(t, with(account, fields{"type": "s3cret"})), "token: the type must be one of"},
		{"a type with addresses", written(t, with(external, fields{"type": "external_account_authorized_user"})), "token: the type must be one of"},
		{"no key", written(t, with(account, fields{"private_key": ""})), "token: the credentials of the type service_account are incomplete"},
		{"a broken key", written(t, with(account, fields{"private_key": "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n"})), "their key cannot be read"},
		{"a half user", written(t, fields{"type": "authorized_user", "client_secret": "s3cret"}), "token: the credentials of the type authorized_user are incomplete"},
		{"tokens from elsewhere", written(t, with(user, fields{"token_url": elsewhere})), "token: token_url must be an https address of googleapis.com"},
		{"a key's tokens from elsewhere", written(t, with(account, fields{"token_uri": elsewhere})), "token: token_uri must be"},
		{"tokens told elsewhere", written(t, with(user, fields{"token_info_url": elsewhere})), "token: token_info_url must be"},
		{"tokens without TLS", written(t, with(user, fields{"token_url": "http://sts.googleapis.com/v1/token"})), "token: token_url must be"},
		{"almost Google", written(t, with(user, fields{"token_url": "https://evilgoogleapis.com/s3cret"})), "token: token_url must be"},
		{"Google as a user", written(t, with(user, fields{"token_url": "https://sts.googleapis.com@evil.example.com/"})), "token: token_url must be"},
		{"impersonation elsewhere", written(t, with(impersonated, fields{"service_account_impersonation_url": elsewhere})), "token: service_account_impersonation_url must be"},
		{"a source of elsewhere", written(t, with(impersonated, fields{"source_credentials": with(user, fields{"token_url": elsewhere})})), "token: source_credentials: token_url must be"},
		{"a source that reads a file", written(t, with(impersonated, fields{"source_credentials": external})), "token: source_credentials: the type must be one of"},
		{"a source of a source that reads a file", written(t, with(impersonated, fields{"source_credentials": with(impersonated, fields{"source_credentials": external})})), "token: source_credentials: source_credentials: the type must be one of"},
		{"a source that runs a program", written(t, with(impersonated, fields{"source_credentials": with(external, fields{"credential_source": fields{"executable": fields{"command": "/bin/s3cret"}}})})), "token: source_credentials: the type must be one of"},
		{"no source", written(t, with(impersonated, fields{"source_credentials": nil})), "token: the credentials of the type impersonated_service_account are incomplete"},
		{"a type in other letters", written(t, with(external, fields{"type": "External_Account"})), "token: the type must be one of"},
		{"two types", `{"type":"authorized_user","client_id":"id","client_secret":"s3cret","refresh_token":"s3cret","TYPE":"external_account"}`, "token: the type must be one of"},
		{"a source of another type", written(t, with(impersonated, fields{"source_credentials": fields{"type": "gdch_service_account"}})), "token: source_credentials: the type must be one of"},
	} {
		_, err := googlepubsub.New(providertest.Complete(t, notify.Settings{Address: project, Channel: topic, Token: c.token}))
		if c.want == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorContains(t, err, c.want, c.name)
		for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%q", err)} {
			assert.NotContains(t, shown, "s3cret", c.name)
			assert.NotContains(t, shown, email, c.name)
			assert.NotContains(t, shown, "evil", c.name)
		}
	}
}
