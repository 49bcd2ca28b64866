package githubapp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is an App's, made once: making one takes a while.
var key = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
})

// gitHub is the part of GitHub that knows Apps. It gives out numbered tokens.
type gitHub struct {
	t        *testing.T
	mu       sync.Mutex
	calls    []string
	tokens   int
	lifetime time.Duration
	routes   map[string]func(w http.ResponseWriter) // before those of every App
}

func (g *gitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	g.calls = append(g.calls, call)
	g.checkJWT(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if route, ok := g.routes[call]; ok {
		route(w)
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/app/installations/5678/access_tokens") {
		g.tokens++
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"token": "ghs_" + strconv.Itoa(g.tokens), "expires_at": time.Now().Add(g.lifetime)})
		return
	}
	http.NotFound(w, r)
}

// checkJWT holds the App to
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app.
func (g *gitHub) checkJWT(token string) {
	private, _ := key()
	var claims jwt.RegisteredClaims
	parsed, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &private.PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"}))
	if err != nil {
		g.t.Errorf("not the App's: %v", err)
		return
	}
	assert.True(g.t, parsed.Valid)
	assert.Equal(g.t, "1234", claims.Issuer)
	assert.LessOrEqual(g.t, time.Until(claims.ExpiresAt.Time), 10*time.Minute)
}

func answer(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// app is one on a server of its own, below a path as Enterprise has it.
func app(t *testing.T, g *gitHub, secrets map[string]string) (*githubapp.App, error) {
	t.Helper()
	g.t = t
	if g.lifetime == 0 {
		g.lifetime = time.Hour
	}
	server := providertest.Server(t, g.ServeHTTP)
	_, private := key()
	all := map[string]string{"githubAppID": "1234", "githubAppPrivateKey": private}
	for k, v := range secrets {
		all[k] = v
	}
	return githubapp.New(providertest.Complete(t, notify.Settings{Secrets: all}), server.URL+"/api/v3")
}

func authorized(t *testing.T, a *githubapp.App) string {
	t.Helper()
	header, err := a.Authorize(t.Context())
	require.NoError(t, err)
	return header
}

func TestByInstallation(t *testing.T) {
	t.Parallel()
	g := &gitHub{}
	a, err := app(t, g, map[string]string{"githubAppInstallationID": "5678"})
	require.NoError(t, err)
	for range 3 {
		assert.Equal(t, "Bearer ghs_1", authorized(t, a))
	}
	assert.Equal(t, []string{"POST /api/v3/app/installations/5678/access_tokens"}, g.calls, "a token is kept")
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	g := &gitHub{lifetime: 59 * time.Second}
	a, err := app(t, g, map[string]string{"githubAppInstallationID": "5678"})
	require.NoError(t, err)
	assert.Equal(t, "Bearer ghs_1", authorized(t, a))
	assert.Equal(t, "Bearer ghs_2", authorized(t, a), "a minute before its end a token is renewed")
}

func TestByOwner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		routes map[string]func(http.ResponseWriter)
		calls  []string
	}{
		"an organization": {
			map[string]func(http.ResponseWriter){"GET /api/v3/orgs/acme/installation": answer(200, `{"id":5678}`)},
			[]string{"GET /api/v3/orgs/acme/installation", "POST /api/v3/app/installations/5678/access_tokens"},
		},
		"a user": {
			map[string]func(http.ResponseWriter){"GET /api/v3/users/acme/installation": answer(200, `{"id":5678}`)},
			[]string{"GET /api/v3/orgs/acme/installation", "GET /api/v3/users/acme/installation", "POST /api/v3/app/installations/5678/access_tokens"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gitHub{routes: c.routes}
			a, err := app(t, g, map[string]string{"githubAppInstallationOwner": "acme"})
			require.NoError(t, err)
			assert.Equal(t, "Bearer ghs_1", authorized(t, a))
			assert.Equal(t, "Bearer ghs_1", authorized(t, a))
			assert.Equal(t, c.calls, g.calls)
		})
	}
}

func TestInstalledAnew(t *testing.T) {
	t.Parallel()
	g := &gitHub{routes: map[string]func(http.ResponseWriter){"GET /api/v3/orgs/acme/installation": answer(200, `{"id":1}`)}}
	a, err := app(t, g, map[string]string{"githubAppInstallationOwner": "acme"})
	require.NoError(t, err)
	_, err = a.Authorize(t.Context())
	require.Error(t, err, "the installation is gone")
	g.mu.Lock()
	g.routes["GET /api/v3/orgs/acme/installation"] = answer(200, `{"id":5678}`)
	g.mu.Unlock()
	assert.Equal(t, "Bearer ghs_1", authorized(t, a), "and is looked for again")
}

// A token that GitHub knows no more is fetched anew, of whatever installation there
// is now; a refusal of that one too is the last word.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string]map[string]string{
		"by owner":  {"githubAppInstallationOwner": "acme"},
		"by number": {"githubAppInstallationID": "5678"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gitHub{routes: map[string]func(http.ResponseWriter){"GET /api/v3/orgs/acme/installation": answer(200, `{"id":5678}`)}}
			a, err := app(t, g, secrets)
			require.NoError(t, err)
			first := authorized(t, a)
			assert.False(t, a.Heard(first, 201))
			assert.True(t, a.Heard(first, 401))
			assert.True(t, a.Heard(first, 401), "that of a delivery at the same time")
			second := authorized(t, a)
			assert.NotEqual(t, first, second)
			assert.True(t, a.Heard(first, 401), "a late one, which takes nothing from the new installation")
			assert.Equal(t, second, authorized(t, a))
			assert.False(t, a.Heard(second, 401), "two in a row")
			third := authorized(t, a)
			assert.NotEqual(t, second, third)
			assert.False(t, a.Heard(third, 403), "known, if without the right")
			assert.True(t, a.Heard(third, 401), "another time")
			g.mu.Lock()
			defer g.mu.Unlock()
			if name == "by owner" {
				assert.Equal(t, 3, strings.Count(strings.Join(g.calls, "\n"), "orgs/acme/installation"))
			}
		})
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	g := &gitHub{routes: map[string]func(http.ResponseWriter){"GET /api/v3/app": answer(200, `{"id":1234,"slug":"flux-app"}`)}}
	a, err := app(t, g, map[string]string{"githubAppInstallationID": "5678"})
	require.NoError(t, err)
	slug, err := a.Slug(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "flux-app", slug)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	const call = "POST /api/v3/app/installations/5678/access_tokens"
	for name, c := range map[string]struct {
		route func(http.ResponseWriter)
		class notify.Class
	}{
		"refused":      {answer(401, `{"message":"A JSON web token could not be decoded"}`), notify.Permanent},
		"out of order": {answer(502, "bad gateway"), notify.Retryable},
		"too often": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusForbidden)
		}, notify.Throttled},
		"a secondary limit": {answer(403, `{"message":"You have exceeded a secondary rate limit"}`), notify.Throttled},
		"no JSON":           {answer(201, "<html>"), notify.Retryable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := app(t, &gitHub{routes: map[string]func(http.ResponseWriter){call: c.route}}, map[string]string{"githubAppInstallationID": "5678"})
			require.NoError(t, err)
			_, err = a.Authorize(t.Context())
			var e *notify.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.class, e.Class, err)
			assert.NotContains(t, err.Error(), "access_tokens", "the library's own words quote addresses")
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	_, private := key()
	for want, secrets := range map[string]map[string]string{
		"githubAppID: ":                {"githubAppID": "x", "githubAppInstallationID": "5678"},
		"githubAppInstallationID: mus": {"githubAppInstallationID": "-1"},
		"githubAppInstallationID: set": {},
		"githubAppInstallationID: se":  {"githubAppInstallationID": "5678", "githubAppInstallationOwner": "acme"},
		"githubAppInstallationOwner: ": {"githubAppInstallationOwner": "acme/../x"},
		"githubAppPrivateKey: ":        {"githubAppInstallationID": "5678", "githubAppPrivateKey": "secret" + private[40:]},
		"githubAppBaseURL: ":           {"githubAppInstallationID": "5678", "githubAppBaseURL": "github.example.com"},
	} {
		_, err := app(t, &gitHub{}, secrets)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), private[40:80])
	}
	none, err := githubapp.New(providertest.Complete(t, notify.Settings{}), "https://api.github.com")
	require.NoError(t, err)
	assert.Nil(t, none)
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	g := &gitHub{t: t, lifetime: time.Hour}
	server := providertest.Server(t, g.ServeHTTP)
	a, err := app(t, &gitHub{}, map[string]string{"githubAppInstallationID": "5678", "githubAppBaseURL": server.URL + "/other/"})
	require.NoError(t, err)
	assert.Equal(t, "Bearer ghs_1", authorized(t, a))
	assert.Equal(t, []string{"POST /other/app/installations/5678/access_tokens"}, g.calls)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	_, private := key()
	asApp := map[string]string{"githubAppID": "1234", "githubAppInstallationID": "5678", "githubAppPrivateKey": private}
	for _, c := range []struct {
		token, password string
		secrets         map[string]string
		header          string
		app             bool
	}{
		{token: "t", password: "p", secrets: asApp, header: "Bearer t"},
		{password: "p", secrets: asApp, header: "Bearer p"},
		{secrets: asApp, app: true},
		{},
	} {
		speaker, err := githubapp.Credentials(providertest.Complete(t, notify.Settings{Token: c.token, Password: c.password, Secrets: c.secrets}), "http://127.0.0.1")
		require.NoError(t, err)
		assert.Equal(t, c.app, speaker.App != nil)
		if c.header == "" && !c.app {
			assert.Nil(t, speaker.Authorize)
			assert.Contains(t, speaker.Missing, "token: must be set")
			continue
		}
		assert.Empty(t, speaker.Missing)
		if c.header != "" {
			header, err := speaker.Authorize(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.header, header)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const words = `{"message":"You have exceeded a secondary rate limit."}`
	verdict, ok := githubapp.Judge(httpsend.Answer{Status: 403, Header: http.Header{}, Body: []byte(words)})
	require.True(t, ok)
	assert.Equal(t, notify.Throttled, verdict.Class)
	assert.Equal(t, time.Minute, verdict.Delay)
	for _, a := range []httpsend.Answer{
		{Status: 403, Header: http.Header{"Retry-After": {"7"}}, Body: []byte(words)}, // which says how long
		{Status: 403, Header: http.Header{}, Body: []byte(`{"message":"Resource not accessible by integration"}`)},
		{Status: 422, Header: http.Header{}, Body: []byte(words)},
		{Status: 201, Header: http.Header{}, Body: []byte(words)},
	} {
		_, ok := githubapp.Judge(a)
		assert.False(t, ok, a.Status)
	}
}
