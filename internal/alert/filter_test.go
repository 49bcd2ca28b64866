package alert

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// event is what the tests' alerts are asked about.
func event() *fluxevent.Event {
	return &fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: "Kustomization", Namespace: "apps", Name: "webapp", APIVersion: "kustomize.toolkit.fluxcd.io/v1"},
		Severity:       "info",
		Message:        "Reconciliation finished\nin 1.5s",
		Reason:         "ReconciliationSucceeded",
		Labels:         map[string]string{"team": "a", "tier": "web"},
	}
}

func newAlert(tb testing.TB, c *Config) *Alert {
	tb.Helper()
	require.Empty(tb, c.Check())
	a, err := New(c, zap.NewNop())
	require.NoError(tb, err)
	return a
}

func TestFilters(t *testing.T) {
	t.Parallel()
	from := func(s ...SourceConfig) Config { return Config{EventSources: s} }
	tests := map[string]struct {
		config Config
		rule   string // none: wanted
	}{
		"no rules": {},
		"suspend":  {Config{Suspend: true}, RuleSuspend},

		"kind":                       {from(SourceConfig{Kind: "Kustomization"}), ""},
		"another kind":               {from(SourceConfig{Kind: "HelmRelease"}), RuleEventSources},
		"kind in another case":       {from(SourceConfig{Kind: "kustomization"}), RuleEventSources},
		"every kind":                 {from(SourceConfig{Kind: "*"}), ""},
		"a kind by pattern":          {from(SourceConfig{Kind: "Kust*"}), ""},
		"every name":                 {from(SourceConfig{Kind: "*", Name: "*"}), ""},
		"name":                       {from(SourceConfig{Kind: "*", Name: "webapp"}), ""},
		"a name by its start":        {from(SourceConfig{Kind: "*", Name: "we*"}), ""},
		"a name by its middle":       {from(SourceConfig{Kind: "*", Name: "*eba*"}), ""},
		"a name by its end":          {from(SourceConfig{Kind: "*", Name: "*app"}), ""},
		"the start of a name":        {from(SourceConfig{Kind: "*", Name: "web"}), RuleEventSources},
		"another start":              {from(SourceConfig{Kind: "*", Name: "ap*"}), RuleEventSources},
		"start in another case":      {from(SourceConfig{Kind: "*", Name: "WE*"}), RuleEventSources},
		"a ? stands for itself":      {from(SourceConfig{Kind: "*", Name: "webap?"}), RuleEventSources},
		"namespace":                  {from(SourceConfig{Kind: "*", Namespace: "apps"}), ""},
		"another namespace":          {from(SourceConfig{Kind: "*", Namespace: "app"}), RuleEventSources},
		"namespace by pattern":       {from(SourceConfig{Kind: "*", Namespace: "ap*"}), ""},
		"the alert's namespace":      {Config{Namespace: "apps", EventSources: []SourceConfig{{Kind: "*"}}}, ""},
		"the alert's other one":      {Config{Namespace: "flux-system", EventSources: []SourceConfig{{Kind: "*"}}}, RuleEventSources},
		"source's before alert's":    {Config{Namespace: "flux-system", EventSources: []SourceConfig{{Kind: "*", Namespace: "apps"}}}, ""},
		"any namespace in spite":     {Config{Namespace: "flux-system", EventSources: []SourceConfig{{Kind: "*", Namespace: "*"}}}, ""},
		"alert's without sources":    {Config{Namespace: "flux-system"}, ""},
		"cluster":                    {from(SourceConfig{Kind: "*", Cluster: "prod-eu"}), ""},
		"cluster by pattern":         {from(SourceConfig{Kind: "*", Cluster: "prod-*"}), ""},
		"every cluster":              {from(SourceConfig{Kind: "*", Cluster: "*"}), ""},
		"another cluster":            {from(SourceConfig{Kind: "*", Cluster: "prod-us"}), RuleEventSources},
		"another cluster's pattern":  {from(SourceConfig{Kind: "*", Cluster: "dev-*"}), RuleEventSources},
		"the start of a cluster":     {from(SourceConfig{Kind: "*", Cluster: "prod"}), RuleEventSources},
		"cluster in another case":    {from(SourceConfig{Kind: "*", Cluster: "PROD-*"}), RuleEventSources},
		"cluster and another name":   {from(SourceConfig{Kind: "*", Name: "x", Cluster: "prod-*"}), RuleEventSources},
		"clusters do not mix":        {from(SourceConfig{Kind: "HelmRelease", Cluster: "prod-*"}, SourceConfig{Kind: "*", Cluster: "dev"}), RuleEventSources},
		"a label":                    {from(SourceConfig{Kind: "*", MatchLabels: map[string]string{"team": "a"}}), ""},
		"two labels":                 {from(SourceConfig{Kind: "*", MatchLabels: map[string]string{"team": "a", "tier": "web"}}), ""},
		"one label of two":           {from(SourceConfig{Kind: "*", MatchLabels: map[string]string{"team": "a", "tier": "db"}}), RuleEventSources},
		"an absent label":            {from(SourceConfig{Kind: "*", MatchLabels: map[string]string{"owner": ""}}), RuleEventSources},
		"labels are no patterns":     {from(SourceConfig{Kind: "*", MatchLabels: map[string]string{"team": "*"}}), RuleEventSources},
		"labels and another name":    {from(SourceConfig{Kind: "*", Name: "x", MatchLabels: map[string]string{"team": "a"}}), RuleEventSources},
		"the second source":          {from(SourceConfig{Kind: "HelmRelease"}, SourceConfig{Kind: "Kustomization"}), ""},
		"neither of two sources":     {from(SourceConfig{Kind: "HelmRelease"}, SourceConfig{Kind: "Kustomization", Name: "x"}), RuleEventSources},
		"sources do not mix":         {from(SourceConfig{Kind: "HelmRelease", Name: "webapp"}, SourceConfig{Kind: "*", Name: "x"}), RuleEventSources},
		"severity info":              {Config{EventSeverity: "info"}, ""},
		"severity error":             {Config{EventSeverity: "error"}, RuleEventSeverity},
		"included":                   {Config{InclusionList: []string{"finished"}}, ""},
		"included by the second":     {Config{InclusionList: []string{"failed", "finished"}}, ""},
		"not included":               {Config{InclusionList: []string{"failed"}}, RuleInclusionList},
		"included by nothing at all": {Config{InclusionList: []string{""}}, ""},
		"excluded":                   {Config{ExclusionList: []string{"finished"}}, RuleExclusionList},
		"excluded by the second":     {Config{ExclusionList: []string{"failed", "finished"}}, RuleExclusionList},
		"excluded by nothing at all": {Config{ExclusionList: []string{""}}, RuleExclusionList},
		"not excluded":               {Config{ExclusionList: []string{"failed"}}, ""},
		"exclusion wins":             {Config{InclusionList: []string{"finished"}, ExclusionList: []string{"1.5s"}}, RuleExclusionList},
		"in another case":            {Config{InclusionList: []string{"FINISHED"}}, RuleInclusionList},
		"case does not matter":       {Config{InclusionList: []string{"(?i)FINISHED"}}, ""},
		"a dot is not a line break":  {Config{InclusionList: []string{"finished.in"}}, RuleInclusionList},
		"a dot is all":               {Config{InclusionList: []string{"(?s)finished.in"}}, ""},
		"the text's start":           {Config{InclusionList: []string{"^in"}}, RuleInclusionList},
		"a line's start":             {Config{InclusionList: []string{"(?m)^in"}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event()
			e.Cluster = "prod-eu"
			rule, filtered := newAlert(t, &test.config).Filters(e)
			assert.Equal(t, test.rule, rule)
			assert.Equal(t, test.rule != "", filtered)
		})
	}
}

// An event that several rules leave out is filtered by the first of them.
func TestFiltersInOrder(t *testing.T) {
	t.Parallel()
	c := Config{
		Suspend: true, EventSources: []SourceConfig{{Kind: "HelmRelease"}}, EventSeverity: "error",
		ExclusionList: []string{"finished"}, InclusionList: []string{"failed"},
	}
	relent := []func(){
		func() { c.Suspend = false },
		func() { c.EventSources = nil },
		func() { c.EventSeverity = "" },
		func() { c.ExclusionList = nil },
		func() { c.InclusionList = nil },
	}
	e := event()
	for i, want := range []string{"suspend", "event_sources", "event_severity", "exclusion_list", "inclusion_list"} {
		rule, filtered := newAlert(t, &c).Filters(e)
		assert.True(t, filtered)
		assert.Equal(t, want, rule)
		relent[i]()
	}
	_, filtered := newAlert(t, &c).Filters(e)
	assert.False(t, filtered)
}

func TestFiltersBySeverity(t *testing.T) {
	t.Parallel()
	errorsOnly := newAlert(t, &Config{EventSeverity: "error"})
	everything := newAlert(t, &Config{EventSeverity: "info"})
	for severity, isError := range map[string]bool{"error": true, "info": false, "trace": false, "": false, "custom": false} {
		e := event()
		e.Severity = severity
		_, filtered := errorsOnly.Filters(e)
		assert.Equal(t, !isError, filtered, severity)
		_, filtered = everything.Filters(e)
		assert.False(t, filtered, severity)
	}
}

// Without any namespace an alert is not of Kubernetes, and wants those of all.
func TestSourcesOfNoNamespace(t *testing.T) {
	t.Parallel()
	a := newAlert(t, &Config{EventSources: []SourceConfig{{Kind: "Kustomization", Name: "webapp"}}})
	for _, namespace := range []string{"apps", "flux-system", ""} {
		e := event()
		e.InvolvedObject.Namespace = namespace
		_, filtered := a.Filters(e)
		assert.False(t, filtered, namespace)
	}
}

func TestSourcesOfAnUnknownCluster(t *testing.T) {
	t.Parallel()
	e := event()
	for cluster, want := range map[string]bool{"": true, "*": true, "prod-eu": false, "prod-*": false} {
		_, filtered := newAlert(t, &Config{EventSources: []SourceConfig{{Kind: "*", Cluster: cluster}}}).Filters(e)
		assert.Equal(t, want, !filtered, cluster)
	}
}

// Names from elsewhere may hold slashes.
func TestPatternsMatchAnyCharacter(t *testing.T) {
	t.Parallel()
	e := event()
	e.Cluster = "arn:aws:eks:eu-west-1:1:cluster/prod/eu"
	for cluster, want := range map[string]bool{"arn:*": true, "*/prod/*": true, "*:cluster/prod/eu": true, "*/eu": true, "*/us": false, "arn:*/prod": false} {
		_, filtered := newAlert(t, &Config{EventSources: []SourceConfig{{Kind: "*", Cluster: cluster}}}).Filters(e)
		assert.Equal(t, want, !filtered, cluster)
	}
}

func TestNearer(t *testing.T) {
	t.Parallel()
	inOrder := []string{"", RuleSuspend, RuleEventSources, RuleEventSeverity, RuleExclusionList, RuleInclusionList}
	for i, a := range inOrder {
		for j, b := range inOrder {
			assert.Equal(t, inOrder[max(i, j)], Nearer(a, b), "%q %q", a, b)
		}
	}
}

// The identities stand in commit statuses and comments made long ago.
func TestDeriveUID(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "8fa16f22-8247-5e6a-bea1-7fc0c4e8d43d", DeriveUID("alert", "flux-system", "apps"))
	assert.NotEqual(t, DeriveUID("alert", "flux-system", "apps"), DeriveUID("alert", "flux-system", "app"))
	assert.NotEqual(t, DeriveUID("alert", "flux-system", "apps"), DeriveUID("provider", "flux-system", "apps"))
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	n := newAlert(t, &Config{Name: "apps", Namespace: "flux-system"}).Notify(event())
	assert.Equal(t, "apps", n.Alert.Name)
	assert.Equal(t, "flux-system", n.Alert.Namespace)
	assert.Equal(t, DeriveUID("alert", "flux-system", "apps"), n.Alert.UID)
	n = newAlert(t, &Config{Name: "apps", Namespace: "flux-system", UID: "7d0cdc51"}).Notify(event())
	assert.Equal(t, "7d0cdc51", n.Alert.UID)
}

func TestNewRefusesBadExpressions(t *testing.T) {
	t.Parallel()
	_, err := New(&Config{InclusionList: []string{"("}}, zap.NewNop())
	require.ErrorContains(t, err, "inclusion_list::0: ")
	_, err = New(&Config{ExclusionList: []string{"a", "("}}, zap.NewNop())
	require.ErrorContains(t, err, "exclusion_list::1: ")
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	const syntax = " (the syntax is that of https://pkg.go.dev/regexp/syntax)"
	tests := map[string]struct {
		config  Config
		message string
	}{
		"empty":    {Config{}, ""},
		"info":     {Config{EventSeverity: "info"}, ""},
		"error":    {Config{EventSeverity: "error"}, ""},
		"trace":    {Config{EventSeverity: "trace"}, `event_severity: "trace" is not one of info (every event), error`},
		"Error":    {Config{EventSeverity: "Error"}, `event_severity: "Error" is not one of info (every event), error`},
		"patterns": {Config{InclusionList: []string{"", ".*"}, ExclusionList: []string{"(?m)^a$"}}, ""},
		"inclusion": {
			Config{InclusionList: []string{"a", "(b"}},
			"inclusion_list::1: error parsing regexp: missing closing ): `(b`" + syntax,
		},
		"exclusion": {
			Config{ExclusionList: []string{"a(?!b)"}},
			"exclusion_list::0: error parsing regexp: invalid or unsupported Perl syntax: `(?!`" + syntax,
		},
		"all at once": {
			Config{EventSeverity: "x", InclusionList: []string{"["}, ExclusionList: []string{"*", "+"}},
			`event_severity: "x" is not one of info (every event), error` + "\n" +
				"inclusion_list::0: error parsing regexp: missing closing ]: `[`" + syntax + "\n" +
				"exclusion_list::0: error parsing regexp: missing argument to repetition operator: `*`" + syntax + "\n" +
				"exclusion_list::1: error parsing regexp: missing argument to repetition operator: `+`" + syntax,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertErrors(t, test.message, errors.Join(test.config.Check()...))
		})
	}
}

func TestSourceConfigValidate(t *testing.T) {
	t.Parallel()
	const noKind = "kind: must be set, for example Kustomization, or '*' for every kind"
	tests := map[string]struct {
		config  SourceConfig
		message string
	}{
		"kind alone": {SourceConfig{Kind: "Kustomization"}, ""},
		"patterns":   {SourceConfig{Kind: "*", Name: "ap*", Namespace: "*-prod"}, ""},
		"no kind":    {SourceConfig{Name: "apps"}, noKind},
		"a class":    {SourceConfig{Kind: "*", Name: "[a-"}, `name: "[a-" is not a name, nor a pattern such as 'team-*'`},
		"all at once": {
			SourceConfig{Name: "a[", Namespace: `*\`},
			noKind + "\n" + `name: "a[" is not a name, nor a pattern such as 'team-*'` + "\n" + `namespace: "*\\" is not a name, nor a pattern such as 'team-*'`,
		},
		"a cluster":     {SourceConfig{Kind: "*", Cluster: "prod-*"}, ""},
		"a bad cluster": {SourceConfig{Kind: "*", Cluster: "prod-["}, `cluster: "prod-[" is not a name, nor a pattern such as 'team-*'`},
		"a bad kind":    {SourceConfig{Kind: "*["}, `kind: "*[" is not a name, nor a pattern such as 'team-*'`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertErrors(t, test.message, errors.Join(test.config.check()...))
		})
	}
}

func assertErrors(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		assert.NoError(t, err)
		return
	}
	assert.EqualError(t, err, want)
}

func BenchmarkFilters(b *testing.B) {
	for _, count := range []int{1, 100} {
		b.Run(fmt.Sprintf("alerts=%d", count), func(b *testing.B) {
			alerts := make([]*Alert, 0, count)
			for i := range count {
				alerts = append(alerts, newAlert(b, &Config{
					Name: fmt.Sprint("alert-", i), Namespace: "apps", EventSeverity: "info",
					EventSources:  []SourceConfig{{Kind: "HelmRelease"}, {Kind: "*", Name: "web*", MatchLabels: map[string]string{"team": "a"}}},
					ExclusionList: []string{"waiting.*socket", "dependency .* not ready"},
					InclusionList: []string{".*finished.*"},
				}))
			}
			e := event()
			b.ReportAllocs()
			for b.Loop() {
				for _, a := range alerts {
					if _, filtered := a.Filters(e); filtered {
						b.Fatal("the event is wanted")
					}
				}
			}
		})
	}
}
