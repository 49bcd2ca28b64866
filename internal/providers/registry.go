// Package providers is the table of every provider type. What is special about
// a type stands in its row and in its folder, nowhere else.
package providers

import (
	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/alertmanager"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azuredevops"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azureeventhub"
	"github.com/fluxnotify/otelcol-flux/internal/providers/bitbucket"
	"github.com/fluxnotify/otelcol-flux/internal/providers/bitbucketserver"
	"github.com/fluxnotify/otelcol-flux/internal/providers/datadog"
	"github.com/fluxnotify/otelcol-flux/internal/providers/discord"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generic"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generichmac"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitea"
	"github.com/fluxnotify/otelcol-flux/internal/providers/giteapullrequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/github"
	"github.com/fluxnotify/otelcol-flux/internal/providers/githubdispatch"
	"github.com/fluxnotify/otelcol-flux/internal/providers/githubpullrequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitlab"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitlabmergerequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlechat"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providers/grafana"
	"github.com/fluxnotify/otelcol-flux/internal/providers/incidentio"
	"github.com/fluxnotify/otelcol-flux/internal/providers/lark"
	"github.com/fluxnotify/otelcol-flux/internal/providers/mastodon"
	"github.com/fluxnotify/otelcol-flux/internal/providers/matrix"
	"github.com/fluxnotify/otelcol-flux/internal/providers/msteams"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providers/opsgenie"
	"github.com/fluxnotify/otelcol-flux/internal/providers/otel"
	"github.com/fluxnotify/otelcol-flux/internal/providers/pagerduty"
	"github.com/fluxnotify/otelcol-flux/internal/providers/rocket"
	"github.com/fluxnotify/otelcol-flux/internal/providers/sentry"
	"github.com/fluxnotify/otelcol-flux/internal/providers/slack"
	"github.com/fluxnotify/otelcol-flux/internal/providers/telegram"
	"github.com/fluxnotify/otelcol-flux/internal/providers/webex"
	"github.com/fluxnotify/otelcol-flux/internal/providers/zoom"
	"github.com/fluxnotify/otelcol-flux/internal/providers/zulip"
)

// Table holds all types, sorted.
var Table = []Row{
	{
		Type: "alertmanager", Words: "alerts to Prometheus Alertmanager",
		Takes:   notify.TakesNews,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, OpenAddress: true,
		New:    alertmanager.New,
		Sample: notify.Settings{Address: "https://alertmanager.example.com/api/v2/alerts", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "azuredevops", Words: "a commit status on Azure DevOps",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{}.Skips,
		Address: Required, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		New:         azuredevops.New,
		OwnIdentity: azuredevops.OwnIdentity,
		OK:          azuredevops.Empty,
		Sample:      notify.Settings{Address: "https://dev.azure.com/organization/project/_git/repository", Token: "sample-token"},
	},
	{
		Type: "azureeventhub", Words: "the event as JSON to an Azure event hub",
		Takes: notify.TakesNews, Bus: true,
		Address: Required, Channel: Optional, Token: Optional,
		New:         azureeventhub.New,
		OwnIdentity: azureeventhub.OwnIdentity,
		Sample:      notify.Settings{Address: "flux-events", Channel: "fluxv2", Token: "sample-token"},
	},
	{
		Type: "bitbucket", Words: "a build status on Bitbucket Cloud",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{}.Skips,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		OneHost: true,
		New:     bitbucket.New,
		OK:      gitstatus.Absent,
		Sample:  notify.Settings{Address: "https://bitbucket.org/workspace/repository", Username: "flux@example.com", Token: "sample-token"},
	},
	{
		Type: "bitbucketserver", Words: "a build status on Bitbucket Server or Data Center",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{}.Skips,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		New:    bitbucketserver.New,
		OK:     gitstatus.Absent,
		Sample: notify.Settings{Address: "https://bitbucket.example.com/scm/project/repository.git", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "datadog", Words: "an event in Datadog",
		Takes:   notify.TakesNews,
		Address: Required, Token: Expected, OpenAddress: true,
		New:    datadog.New,
		Sample: notify.Settings{Address: "https://api.datadoghq.com", Token: "sample-token"},
	},
	{
		Type: "discord", Words: "a message in a Discord channel",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, Username: Optional,
		New:    discord.New,
		Sample: notify.Settings{Address: "https://discord.com/api/webhooks/123/sample", Username: "flux"},
	},
	{
		Type: "generic", Words: "the event as JSON to a webhook",
		Takes:   notify.TakesAll,
		Address: Required, Headers: Optional,
		New:    generic.New,
		Sample: notify.Settings{Address: "https://example.com/hook", Headers: []notify.Header{{Name: "X-Team", Value: "sample-header"}}},
	},
	{
		Type: "generic-hmac", Words: "the event as JSON to a webhook, signed",
		Takes:   notify.TakesAll,
		Address: Required, Token: Required, Headers: Optional,
		RawToken: true,
		New:      generichmac.New,
		Sample:   notify.Settings{Address: "https://example.com/hook", Token: "sample-token", Headers: []notify.Header{{Name: "X-Team", Value: "sample-header"}}},
	},
	{
		Type: "gitea", Words: "a commit status on Gitea or Forgejo",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{Progress: true, Hashes: gitrepo.SHA256}.Skips,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		New:    gitea.New,
		OK:     gitstatus.Empty,
		Sample: notify.Settings{Address: "https://gitea.example.com/owner/repository", Username: "flux", Token: "sample-token"},
	},
	{
		Type: "giteapullrequestcomment", Words: "a comment on a pull request on Gitea or Forgejo",
		Takes: notify.TakesChangeRequests, Skips: gitcomment.Skips,
		Address: Required, Password: Optional, Token: Optional, OpenAddress: true,
		New:    giteapullrequestcomment.New,
		OK:     gitcomment.Empty,
		Sample: notify.Settings{Address: "https://gitea.example.com/owner/repository", Token: "sample-token"},
	},
	{
		Type: "github", Words: "a commit status on GitHub",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{}.Skips,
		Address: Required, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		Secrets: githubapp.Keys,
		New:     github.New,
		OK:      gitstatus.Empty,
		Sample:  notify.Settings{Address: "https://github.com/owner/repository", Token: "sample-token"},
	},
	{
		Type: "githubdispatch", Words: "a repository_dispatch that starts GitHub Actions workflows",
		Takes:   notify.TakesNews,
		Address: Required, Password: Optional, Token: Optional, OpenAddress: true,
		Secrets:    githubapp.Keys,
		MaxRequest: 66_560,
		New:        githubdispatch.New,
		Sample:     notify.Settings{Address: "https://github.com/owner/repository", Token: "sample-token"},
	},
	{
		Type: "githubpullrequestcomment", Words: "a comment on a pull request on GitHub",
		Takes: notify.TakesChangeRequests, Skips: gitcomment.Skips,
		Address: Required, Password: Optional, Token: Optional, OpenAddress: true,
		Secrets: githubapp.Keys,
		New:     githubpullrequestcomment.New,
		OK:      gitcomment.Empty,
		Sample:  notify.Settings{Address: "https://github.com/owner/repository", Token: "sample-token"},
	},
	{
		Type: "gitlab", Words: "a commit status on GitLab",
		Takes: notify.TakesCommits, Skips: gitstatus.Rules{Hashes: gitrepo.SHA256}.Skips,
		Address: Required, Password: Optional, Token: Optional, CommitStatusExpr: Optional, OpenAddress: true,
		New:    gitlab.New,
		OK:     gitstatus.Empty,
		Sample: notify.Settings{Address: "https://gitlab.com/group/sub/project", Token: "sample-token"},
	},
	{
		Type: "gitlabmergerequestcomment", Words: "a comment on a merge request on GitLab",
		Takes: notify.TakesChangeRequests, Skips: gitcomment.Skips,
		Address: Required, Password: Optional, Token: Optional, OpenAddress: true,
		New:    gitlabmergerequestcomment.New,
		OK:     gitcomment.Empty,
		Sample: notify.Settings{Address: "https://gitlab.com/group/sub/project", Token: "sample-token"},
	},
	{
		Type: "googlechat", Words: "a card in a Google Chat space",
		Takes:      notify.TakesNews,
		Address:    Required,
		MaxRequest: 32_000,
		New:        googlechat.New,
		Sample:     notify.Settings{Address: "https://chat.googleapis.com/v1/spaces/AAAAsample/messages?key=sample-key&token=sample-token"},
	},
	{
		Type: "googlepubsub", Words: "the event as JSON to a Google Pub/Sub topic",
		Takes: notify.TakesNews, Bus: true,
		Address: Required, Channel: Required, Token: Optional, Headers: Optional, Ordering: Optional,
		New:         googlepubsub.New,
		OwnIdentity: googlepubsub.OwnIdentity,
		Sample: notify.Settings{
			Address: "my-project", Channel: "flux-events", Ordering: true, Headers: []notify.Header{{Name: "team", Value: "sample-header"}},
			Token: `{"type":"authorized_user","client_id":"sample","client_secret":"sample-secret","refresh_token":"sample-token"}`,
		},
	},
	{
		Type: "grafana", Words: "an annotation in Grafana",
		Takes:   notify.TakesNews,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, OpenAddress: true,
		New:    grafana.New,
		Sample: notify.Settings{Address: "https://grafana.example.com/api/annotations", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "incident.io", Words: "alerts to an alert source of incident.io",
		Takes: notify.TakesNews, Skips: notify.SkipsProgressing,
		Address: Required, Token: Expected, OpenAddress: true,
		New:    incidentio.New,
		Sample: notify.Settings{Address: "https://api.incident.io/v2/alert_events/http/01GW2G3V0S59R238FAHPDS1R66", Token: "sample-token"},
	},
	{
		Type: "lark", Words: "a card in a Lark or Feishu group",
		Takes:      notify.TakesNews,
		Address:    Required,
		MaxRequest: 20_000,
		New:        lark.New,
		OKBody:     `{"code":0}`,
		Sample:     notify.Settings{Address: "https://open.larksuite.com/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000"},
	},
	{
		Type: "mastodon", Words: "a status of a Mastodon account",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, Token: Required, OpenAddress: true,
		New:    mastodon.New,
		Sample: notify.Settings{Address: "https://mastodon.example.com", Channel: "unlisted", Token: "sample-token"},
	},
	{
		Type: "matrix", Words: "a message in a Matrix room",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Required, Token: Required, OpenAddress: true,
		MaxRequest: 65_536,
		New:        matrix.New,
		Sample:     notify.Settings{Address: "https://matrix.example.com", Channel: "!jezptmDwEeLapMLjOc:example.com", Token: "sample-token"},
	},
	{
		Type: "msteams", Words: "a card in a Microsoft Teams channel",
		Takes:      notify.TakesNews,
		Address:    Required,
		MaxRequest: 28_000,
		New:        msteams.New,
		Sample:     notify.Settings{Address: "https://prod-00.westeurope.logic.azure.com/workflows/0/triggers/manual/paths/invoke?api-version=2016-06-01&sig=sample-signature"},
	},
	{
		Type: "nats", Words: "the event as JSON to a NATS subject",
		Takes: notify.TakesNews, Bus: true,
		Address: Required, Channel: Required, Username: Optional, Password: Optional, JetStream: Optional,
		Secrets: []string{"creds", "nkey"},
		New:     nats.New,
		Sample:  notify.Settings{Address: "nats://nats.example.com:4222", Channel: "flux.events", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "opsgenie", Words: "alerts to Opsgenie",
		Takes:   notify.TakesNews,
		Address: Required, Token: Expected, OpenAddress: true,
		New:    opsgenie.New,
		Sample: notify.Settings{Address: "https://api.opsgenie.com/v2/alerts", Token: "sample-token"},
	},
	{
		Type: "otel", Words: "spans to an OTLP endpoint",
		Takes: notify.TakesNews, Skips: otel.Skips,
		Address: Required, Username: Optional, Password: Optional, Token: Optional, Headers: Optional, OpenAddress: true,
		New:  otel.New,
		Show: otel.Show,
		Sample: notify.Settings{
			Address: "https://otlp.example.com/v1/traces", Username: "flux", Password: "sample-password",
			Headers: []notify.Header{{Name: "X-Scope-OrgID", Value: "sample-tenant"}},
		},
	},
	{
		Type: "pagerduty", Words: "alerts and change events to PagerDuty",
		Takes: notify.TakesNews, Skips: notify.SkipsProgressing,
		Address: Required, Channel: Expected, OpenAddress: true, SecretChannel: true,
		MaxRequest: 512_000,
		New:        pagerduty.New,
		Sample:     notify.Settings{Address: "https://events.pagerduty.com", Channel: "0123456789abcdef0123456789abcdef"},
	},
	{
		Type: "rocket", Words: "a message in a Rocket.Chat channel",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, Username: Optional,
		New:    rocket.New,
		Sample: notify.Settings{Address: "https://chat.example.com/hooks/123/sample", Channel: "general", Username: "flux"},
		OKBody: `{"success":true}`,
	},
	{
		Type: "sentry", Words: "events and transactions to Sentry",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, OpenAddress: true,
		New:    sentry.New,
		Sample: notify.Settings{Address: "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2", Channel: "production"},
	},
	{
		Type: "slack", Words: "a message in a Slack channel",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, Username: Optional, Token: Optional,
		New:    slack.New,
		Sample: notify.Settings{Address: "https://slack.com/api/chat.postMessage", Channel: "general", Username: "flux", Token: "sample-token"},
		OKBody: `{"ok":true}`,
	},
	{
		Type: "telegram", Words: "a message in a Telegram chat",
		Takes:   notify.TakesNews,
		Address: Optional, Channel: Required, Token: Required, OpenAddress: true,
		New:    telegram.New,
		Sample: notify.Settings{Address: "https://api.telegram.org", Channel: "-1001234567890:552", Token: "123456:sample-token"},
		OKBody: `{"ok":true}`,
	},
	{
		Type: "webex", Words: "a message in a Webex space",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Required, Token: Optional, OpenAddress: true,
		New:    webex.New,
		Sample: notify.Settings{Address: "https://webexapis.com/v1/messages", Channel: "Y2lzY29zcGFyazovL3VzL1JPT00", Token: "sample-token"},
	},
	{
		Type: "zoom", Words: "a message in a Zoom chat channel",
		Takes:   notify.TakesNews,
		Address: Required, Token: Optional,
		New:    zoom.New,
		Sample: notify.Settings{Address: "https://integrations.zoom.us/chat/webhooks/incomingwebhook/sample", Token: "sample-token"},
		OKBody: `{"status":200}`,
	},
	{
		Type: "zulip", Words: "a message in a Zulip topic",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Required, Username: Optional, Password: Optional, OpenAddress: true,
		New:    zulip.New,
		Sample: notify.Settings{Address: "https://example.zulipchat.com", Channel: "flux/production", Username: "flux-bot@example.zulipchat.com", Password: "sample-password"},
		OKBody: `{"result":"success","msg":""}`,
	},
}
