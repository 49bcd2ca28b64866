package fluxmanifest

import (
	"encoding/base64"
	"regexp"
	"slices"
)

// Secret is a Secret of Kubernetes: values by key, which may be any bytes.
type Secret struct {
	*Object
	values map[string][]byte
	// keys are known also where a value cannot be read: SOPS leaves them as they are.
	keys      []string
	encrypted bool
	again     []*Secret // others with the same name, which are not used
}

// secretKey is what Kubernetes accepts as a key
// (https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data).
var secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)

func readSecret(o *Object, root *fields) *Secret {
	s := &Secret{Object: o, values: map[string][]byte{}}
	_, s.encrypted = root.take("sops")
	data, stringData := root.mapping("data"), root.mapping("stringData")
	for _, key := range slices.Concat(data.names(), stringData.names()) {
		if secretKey.MatchString(key) && len(key) <= maxName {
			s.keys = append(s.keys, key)
		} else {
			o.fault("", "has a key that is not of letters, digits, '-', '_' and '.'")
		}
	}
	slices.Sort(s.keys)
	s.keys = slices.Compact(s.keys)
	if s.encrypted {
		return s
	}
	for _, key := range s.keys {
		s.read(data, stringData, key)
	}
	return s
}

// read reads a value; that of stringData wins, as in Kubernetes.
func (s *Secret) read(data, stringData *fields, key string) {
	if encoded, ok := data.text(key); ok {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			s.fault(data.pathOf(key), "is not base64: values that are not encoded belong to stringData")
		} else {
			s.values[key] = decoded
		}
	}
	if text, ok := stringData.text(key); ok {
		s.values[key] = []byte(text)
	}
}
