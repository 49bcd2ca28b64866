// Package azuredevops writes commit statuses on Azure DevOps, its services and
// its servers
// (https://learn.microsoft.com/rest/api/azure/devops/git/statuses/create).
//
// Of the SDK, its types are used and what makes, sends and reads a request. Its
// calls are not: they first ask for the addresses of all resources, keep them for
// the whole process, whatever was answered, and go down with the process where one
// is incomplete. The address of statuses is the same everywhere.
package azuredevops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	api "github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"

	"github.com/fluxnotify/otelcol-flux/internal/azureid"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// version of the API is the one of Azure DevOps Server 2020, which the services
	// and later servers speak too
	// (https://learn.microsoft.com/azure/devops/integrate/concepts/rest-api-versioning).
	version = "6.0"
	// perPage is how many statuses are asked for at once; 1000 is what the API gives
	// unasked (https://learn.microsoft.com/rest/api/azure/devops/git/statuses/list).
	perPage = 200
	// scope is that of Azure DevOps, for tokens of Microsoft Entra
	// (https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/service-principal-managed-identity).
	scope = "499b84ac-1321-427f-aa17-267ca6975798/.default"
)

// maxText bounds the parts of a status, in characters, as other vendors do:
// Microsoft writes no limit down
// (https://learn.microsoft.com/rest/api/azure/devops/git/statuses/create#gitstatus).
const maxText = 255

// genre is Flux's, with the alert's summary after it.
const genre = "fluxcd"

type vendor struct {
	commits   string // the address of the repository's commits
	transport *httpsend.Transport
	client    *api.Client
}

// New makes a provider of a repository's address and a personal access token. A
// password is taken for the token where there is none; without both, it is the
// identity of the pod or of the machine that speaks.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.AzureDevOps(s.Address)
	if err != nil {
		return nil, err
	}
	authorize, err := credentials(s, repository.API)
	if err != nil {
		return nil, err
	}
	v := &vendor{commits: repository.API + "/" + url.PathEscape(repository.Owner) +
		"/_apis/git/repositories/" + url.PathEscape(repository.Name) + "/commits/"}
	own := s
	own.Address = repository.Web
	if v.transport, err = httpsend.NewTransport(own, httpsend.Options{Authorize: authorize, Judge: judge}); err != nil {
		return nil, err
	}
	v.client = api.NewClientWithOptions(api.NewAnonymousConnection(repository.API), repository.API, api.WithHTTPClient(v.transport.Client()))
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web,
		Success: string(git.GitStatusStateValues.Succeeded), Failure: string(git.GitStatusStateValues.Error),
		MaxKey: maxText, MaxDescription: maxText,
		Complete: func(s *gitstatus.Status, n *notify.Notification, _ string) {
			s.Genre = genre
			if summary := n.Event.Metadata["summary"]; summary != "" {
				s.Genre = text.Shorten(genre+":"+summary, text.InRunes, maxText)
			}
		},
	})
}

// trusts reports whether the collector's own identity may speak to an API: Azure DevOps
// Services, in either of its forms
// (https://learn.microsoft.com/azure/devops/extend/develop/work-with-urls). Tests have
// their own.
var trusts = func(api *url.URL) bool { return azureid.Trusts(api, "dev.azure.com", "visualstudio.com") }

// credentials are a token, which goes with no user's name, else the identity.
func credentials(s notify.Settings, address string) (func(context.Context) (string, error), error) {
	if s.Token == "" {
		s.Token = s.Password
	}
	if s.Token != "" {
		authorization := api.CreateBasicAuthHeaderValue("", s.Token)
		return func(context.Context) (string, error) { return authorization, nil }, nil
	}
	api, err := url.Parse(address)
	if err != nil || !trusts(api) {
		return nil, errors.New("token: must be set for this address: the collector's own Azure identity is used for https://dev.azure.com and https://*.visualstudio.com only")
	}
	id, err := azureid.New(s, scope)
	if err != nil {
		return nil, err
	}
	return id.Authorize, nil
}

// judge recognises a page for signing in, which the services show instead of a
// refusal to whoever has a token that is not theirs or not good any more.
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusNonAuthoritativeInfo {
		return nil, false
	}
	return notify.Permanentf(strconv.Itoa(a.Status), "answered %d with a page for signing in: token is not one of this organization, or has expired", a.Status), true
}

// Newest implements gitstatus.Vendor. The API lists the newest of each genre and
// name when asked to, in no order that is written down: the number counts.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	last := 0
	for skip := 0; ; skip += perPage {
		query := url.Values{"latestOnly": {"true"}, "top": {strconv.Itoa(perPage)}, "skip": {strconv.Itoa(skip)}}
		var page []git.GitStatus
		if err := v.send(ctx, http.MethodGet, s.Commit, query.Encode(), nil, &page); err != nil {
			return newest, false, err
		}
		for _, there := range page {
			id := value(there.Id)
			if c := there.Context; c != nil && value(c.Name) == s.Key && value(c.Genre) == s.Genre && (!found || id > last) {
				newest, found, last = gitstatus.Status{State: string(value(there.State)), Description: value(there.Description)}, true, id
			}
		}
		if len(page) < perPage {
			return newest, found, nil
		}
	}
}

// value is what a field of the SDK points to.
func value[T any](field *T) (v T) {
	if field != nil {
		v = *field
	}
	return v
}

// Post implements gitstatus.Vendor.
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	state := git.GitStatusState(s.State)
	body, err := json.Marshal(git.GitStatus{
		Context: &git.GitStatusContext{Genre: &s.Genre, Name: &s.Key}, State: &state, Description: &s.Description,
	})
	if err != nil {
		return notify.Permanentf("rendering", "the status cannot be written as JSON")
	}
	return v.send(ctx, http.MethodPost, s.Commit, "", body, nil)
}

// send does one request on the statuses of a commit. page is what is answered;
// nil: that does not matter.
func (v *vendor) send(ctx context.Context, method, commit, query string, body []byte, page *[]git.GitStatus) error {
	address, contentType := v.commits+url.PathEscape(commit)+"/statuses", ""
	if query != "" {
		address += "?" + query
	}
	var reader io.Reader
	if body != nil {
		reader, contentType = bytes.NewReader(body), api.MediaTypeApplicationJson
	}
	req, err := v.client.CreateRequestMessage(ctx, method, address, version, reader, contentType, api.MediaTypeApplicationJson, nil)
	if err != nil {
		return v.transport.Failure(ctx, errors.New("the request cannot be made"))
	}
	response, err := v.client.SendRequest(req)
	if err != nil {
		return v.transport.Failure(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if page == nil {
		return nil
	}
	return v.transport.Failure(ctx, v.client.UnmarshalCollectionBody(response, page))
}

// Empty answers as the API of a repository without statuses: a row's OK.
func Empty(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"count":0,"value":[]}`)
}

// Check implements gitstatus.Vendor. A token for statuses, which is all that is
// asked for, may read nothing but them, and those of a commit
// (https://learn.microsoft.com/azure/devops/integrate/get-started/authentication/oauth#scopes).
func (v *vendor) Check(context.Context) error { return notify.ErrUncheckable }

var _ gitstatus.Vendor = (*vendor)(nil)

// OwnIdentity reports whether the collector's own identity speaks.
func OwnIdentity(s notify.Settings) bool { return s.Token == "" && s.Password == "" }
