package fluxmanifest

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// SecretMode says how the values of Secrets come into a configuration.
type SecretMode int

const (
	// SecretsInline writes the values of the Secrets among the manifests.
	SecretsInline SecretMode = iota
	// SecretsMounted names a folder for each: <root>/<namespace>/<name>.
	SecretsMounted
	// SecretsFromEnvironment writes ${env:FLUX_<NAMESPACE>_<NAME>_<KEY>}.
	SecretsFromEnvironment
)

// secrets adds what the Secrets of a Provider have to say.
func (t *translation) secrets(p *Provider, row providers.Row, settings map[string]any) {
	for _, s := range []struct {
		field, name, key string
	}{
		{"secretRef", p.SecretRef, "secret"},
		{"certSecretRef", p.CertSecretRef, "cert_secret"},
		{"proxySecretRef", p.ProxySecretRef, "proxy_secret"},
	} {
		ref, path := reference{p.Namespace, s.name}, "spec."+s.field
		switch {
		case s.name == "":
		case s.key == "proxy_secret" && row.Bus:
			t.warn(p.Object, path, "the type %s does not use it", p.Type)
		case t.options.Secrets == SecretsMounted:
			settings[s.key+"_dir"] = filepath.Join(t.options.SecretRoot, ref.namespace, ref.name)
		case t.options.Secrets == SecretsFromEnvironment:
			settings[s.key] = t.placeholders(p, row, ref, s.field)
		default:
			t.inline(p, ref, path, s.key, settings)
		}
	}
}

func (t *translation) inline(p *Provider, ref reference, path, key string, settings map[string]any) {
	secret, ok := t.manifests.secrets[ref]
	if !ok {
		t.fault(p.Object, path, "there is no Secret %s among the manifests: add it, or mount it and name the folder of Secrets", ref)
		return
	}
	t.faults, t.warnings = append(t.faults, secret.faults...), append(t.warnings, secret.warnings...)
	if secret.encrypted {
		t.fault(secret.Object, "sops", "the Secret is encrypted: decrypt the file, or mount the Secret and name the folder")
	}
	setMap(settings, key, secret.values)
}

// verbatim is a text in which $ is to be expanded.
type verbatim string

// placeholders stand for the values of a Secret, also where they cannot be read:
// what is wrong with them is worth a word, no more. Of a Secret that is not among
// the manifests, the keys are those that one for such a reference has.
func (t *translation) placeholders(p *Provider, row providers.Row, ref reference, field string) map[string]any {
	keys := usualKeys(p, row, field)
	if secret, ok := t.manifests.secrets[ref]; ok {
		keys = secret.keys
		t.warnings = append(t.warnings, secret.faults...)
		if secret.encrypted {
			t.warn(secret.Object, "sops", "the Secret is encrypted: set the variables to its decrypted values")
		}
	} else {
		t.warn(p.Object, "spec."+field, "the Secret %s is not among the manifests, its keys are taken to be %s", ref, strings.Join(keys, ", "))
	}
	values := map[string]any{}
	for _, key := range keys {
		name, of := variable(ref, key), ref.String()+" "+key
		if before, taken := t.variables[name]; taken && before != of {
			t.fault(p.Object, "spec."+field, "the variable %s would stand for the Secret keys %s and %s", name, before, of)
			continue
		}
		t.variables[name] = of
		values[key] = verbatim("${env:" + name + "}")
	}
	return values
}

func usualKeys(p *Provider, row providers.Row, field string) []string {
	switch field {
	case "certSecretRef":
		return []string{"ca.crt"}
	case "proxySecretRef":
		return []string{"address"}
	}
	var keys []string
	if p.Address == "" && row.Address != providers.Unused {
		keys = append(keys, "address")
	}
	switch {
	case row.Token != providers.Unused:
		keys = append(keys, "token")
	case row.Password != providers.Unused:
		keys = append(keys, "username", "password")
	}
	return keys
}

var notInVariables = regexp.MustCompile(`[^A-Z0-9]`)

func variable(ref reference, key string) string {
	return "FLUX_" + notInVariables.ReplaceAllString(strings.ToUpper(ref.namespace+"_"+ref.name+"_"+key), "_")
}

// escape doubles every $ of the values, because the collector expands those of
// a provider of configurations like those of a file. Keys it leaves alone.
func escape(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "$", "$$")
	case verbatim:
		return string(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = escape(item)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[key] = escape(item)
		}
		return m
	}
	return v
}
