package fluxmanifest

import (
	"encoding/base64"
	"regexp"
)

// Secret is a Secret of Kubernetes: values by key, which may be any bytes.
type Secret struct {
	*Object
	values map[string]string
}

// secretKey is what Kubernetes takes as a key
// (https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data).
var secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)

func readSecret(o *Object, root *fields) *Secret {
	s := &Secret{Object: o, values: map[string]string{}}
	if _, encrypted := root.take("sops"); encrypted {
		o.fault("sops", "the Secret is encrypted: decrypt the file, or mount the Secret and name the folder")
		return s
	}
	data := root.mapping("data")
	for _, key := range data.names() {
		text, _ := data.text(key)
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			o.fault(data.pathOf(key), "is not base64: what is not encoded belongs into stringData")
			continue
		}
		s.values[key] = string(decoded)
	}
	stringData := root.mapping("stringData")
	for _, key := range stringData.names() {
		if text, ok := stringData.text(key); ok {
			s.values[key] = text
		}
	}
	for key := range s.values {
		if !secretKey.MatchString(key) {
			o.fault("", "has a key that is not of letters, digits, '-', '_' and '.'")
			delete(s.values, key)
		}
	}
	return s
}
