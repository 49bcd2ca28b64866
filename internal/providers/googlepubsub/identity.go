package googlepubsub

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// emulator is the variable by which the client library is led to an emulator,
// which knows no identities.
const emulator = "PUBSUB_EMULATOR_HOST"

// maxBackoff is how long a lost connection waits between two attempts at most;
// gRPC's two minutes would outlast most outages.
const maxBackoff = 10 * time.Second

// silent keeps the library from logging tokens, which GOOGLE_SDK_GO_LOGGING_LEVEL
// would have it do.
var silent = slog.New(slog.DiscardHandler)

// dialing is how Pub/Sub is reached, and as whom.
type dialing struct {
	identity *auth.Credentials // nil: the ambient one
	tls      *tls.Config
	timeout  time.Duration
	further  []option.ClientOption // of tests
}

// options are those of the client. One connection is enough for the requests
// that a hundred messages share.
func (d *dialing) options() ([]option.ClientOption, error) {
	connect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: d.timeout}
	connect.Backoff.MaxDelay = maxBackoff
	options := []option.ClientOption{
		option.WithGRPCConnectionPool(1),
		option.WithTelemetryDisabled(),
		option.WithLogger(silent),
		option.WithUserAgent(version.UserAgent()),
		option.WithGRPCDialOption(grpc.WithConnectParams(connect)),
	}
	if d.further != nil {
		return append(options, d.further...), nil
	}
	if os.Getenv(emulator) != "" {
		return options, nil
	}
	if d.tls != nil {
		options = append(options, option.WithGRPCDialOption(grpc.WithTransportCredentials(grpccredentials.NewTLS(d.tls.Clone()))))
	}
	identity := d.identity
	if identity == nil {
		var err error
		if identity, err = credentials.DetectDefault(detection()); err != nil {
			return nil, fmt.Errorf("token: is not set, and there is no ambient Google identity (GOOGLE_APPLICATION_CREDENTIALS, Workload Identity): %w", err)
		}
	}
	return append(options, option.WithAuthCredentials(classified(identity))), nil
}

func detection() *credentials.DetectOptions {
	return &credentials.DetectOptions{Scopes: []string{pubsub.ScopePubSub}, UseSelfSignedJWT: true, Logger: silent}
}

// tokens tells a failure to get a token from a refusal of it: gRPC takes both
// for Unauthenticated, and an outage of the metadata server is none.
type tokens struct{ auth.TokenProvider }

// Token implements auth.TokenProvider.
func (t tokens) Token(ctx context.Context) (*auth.Token, error) {
	token, err := t.TokenProvider.Token(ctx)
	if err == nil {
		return token, nil
	}
	var answered *auth.Error
	if errors.As(err, &answered) && answered.Response != nil && refuses(answered.Response.StatusCode) {
		return nil, status.Errorf(codes.Unauthenticated, "no access token: %v", err)
	}
	return nil, status.Errorf(codes.Unavailable, "no access token: %v", err)
}

func refuses(code int) bool {
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests
}

func classified(c *auth.Credentials) *auth.Credentials {
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          tokens{c.TokenProvider},
		JSON:                   c.JSON(),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(c.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(c.UniverseDomain),
	})
}

// fromJSON reads credentials, and the secrets in them. What the library says of
// broken ones may quote them, and is not repeated.
func fromJSON(token string) (*auth.Credentials, []string, error) {
	var file credentialsFile
	if err := json.Unmarshal([]byte(token), &file); err != nil {
		return nil, nil, errors.New("token: is not credentials in JSON, such as the key file of a service account; leave it out for the ambient Google identity")
	}
	if err := file.check(); err != nil {
		return nil, nil, fmt.Errorf("token: %w", err)
	}
	identity, err := credentials.NewCredentialsFromJSON(file.Type, []byte(token), detection())
	if err != nil {
		return nil, nil, fmt.Errorf("token: the credentials of the type %s are incomplete, or their key cannot be read", file.Type)
	}
	return identity, file.secrets(), nil
}

// credentialsFile is what is checked of credentials before the library gets
// them. It would send what it knows to whatever address stands in them:
// https://cloud.google.com/docs/authentication/external/externally-sourced-credentials
type credentialsFile struct {
	Type          credentials.CredType `json:"type"`
	TokenURI      string               `json:"token_uri"`
	TokenURL      string               `json:"token_url"`
	TokenInfoURL  string               `json:"token_info_url"`
	Impersonation string               `json:"service_account_impersonation_url"`
	Source        *credentialsFile     `json:"source_credentials"`

	PrivateKey   string `json:"private_key"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
}

func (f *credentialsFile) check() error {
	// Others, such as external_account, read files, call URLs or run programs of the
	// collector's machine, which a Provider's author is not to choose.
	switch f.Type {
	case credentials.ServiceAccount, credentials.AuthorizedUser, credentials.ImpersonatedServiceAccount:
	default:
		return fmt.Errorf("the type must be one of %s, %s, %s", credentials.ServiceAccount, credentials.AuthorizedUser, credentials.ImpersonatedServiceAccount)
	}
	for _, address := range []struct{ key, value string }{
		{"token_uri", f.TokenURI},
		{"token_url", f.TokenURL},
		{"token_info_url", f.TokenInfoURL},
		{"service_account_impersonation_url", f.Impersonation},
	} {
		if address.value != "" && !isGoogle(address.value) {
			return fmt.Errorf("%s must be an https address of googleapis.com", address.key)
		}
	}
	if f.Source == nil {
		return nil
	}
	if err := f.Source.check(); err != nil {
		return fmt.Errorf("source_credentials: %w", err)
	}
	return nil
}

func (f *credentialsFile) secrets() []string {
	if f == nil {
		return nil
	}
	return append(f.Source.secrets(), f.PrivateKey, f.ClientSecret, f.RefreshToken)
}

// isGoogle knows the addresses that Google writes into credentials, those of
// older keys among them.
func isGoogle(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.User == nil &&
		(strings.HasSuffix(u.Host, ".googleapis.com") || u.Host == "accounts.google.com")
}

// OwnIdentity reports whether the collector's own identity speaks.
func OwnIdentity(s notify.Settings) bool { return s.Token == "" }
