package fluxevent

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// fields collects what the attributes of a resource and of its record say.
type fields struct {
	event   Event
	object  Object
	related Object
	foreign bool // the record did not come from the receiver

	workloads *[len(workloadKinds)]struct{ name, uid string } // nil until one is named
}

// workloadKinds are the kinds that the k8sattributes processor and its like
// name in attributes k8s.<kind>.name, those first that a person would look at
// first: the Deployment rather than the Pod of it that logged.
var workloadKinds = [...]struct{ attribute, kind string }{
	{"deployment", "Deployment"},
	{"statefulset", "StatefulSet"},
	{"daemonset", "DaemonSet"},
	{"cronjob", "CronJob"},
	{"job", "Job"},
	{"replicationcontroller", "ReplicationController"},
	{"replicaset", "ReplicaSet"},
	{"hpa", "HorizontalPodAutoscaler"},
	{"persistentvolumeclaim", "PersistentVolumeClaim"},
	{"pod", "Pod"},
	{"node", "Node"},
}

// read takes one attribute. It is called for those of the resource and then
// for those of the record, and always asks for the next.
func (f *fields) read(key string, value pcommon.Value) bool {
	if target := f.target(key); target != nil {
		*target = textOf(value)
		return true
	}
	if rest, ok := strings.CutPrefix(key, prefixMetadata); ok {
		f.metadata(rest, textOf(value))
		return true
	}
	if rest, ok := strings.CutPrefix(key, prefixLabel); ok {
		if f.event.Labels == nil {
			f.event.Labels = map[string]string{}
		}
		f.event.Labels[rest] = textOf(value)
		return true
	}
	if f.object.Kind == "" || f.object.Name == "" {
		f.workload(key, value)
	}
	return true
}

// readObject is read for who wants to know the object alone.
func (f *fields) readObject(key string, value pcommon.Value) bool {
	if strings.HasPrefix(key, "k8s.") && !strings.HasPrefix(key, prefixLabel) || key == attrController {
		return f.read(key, value)
	}
	return true
}

// target is the field that an attribute with a name of its own fills.
func (f *fields) target(key string) *string {
	switch key {
	case attrKind:
		return &f.object.Kind
	case attrName:
		return &f.object.Name
	case attrUID:
		return &f.object.UID
	case attrAPIVersion:
		return &f.object.APIVersion
	case attrResourceVersion:
		return &f.object.ResourceVersion
	case attrFieldPath:
		return &f.object.FieldPath
	case attrCluster:
		return &f.event.Cluster
	case attrNamespace:
		return &f.object.Namespace
	case attrController:
		return &f.event.ReportingController
	case attrInstance:
		return &f.event.ReportingInstance
	case attrReason:
		return &f.event.Reason
	case attrAction:
		return &f.event.Action
	case prefixRelated + "kind":
		return &f.related.Kind
	case prefixRelated + "namespace":
		return &f.related.Namespace
	case prefixRelated + "name":
		return &f.related.Name
	case prefixRelated + "uid":
		return &f.related.UID
	case prefixRelated + "api_version":
		return &f.related.APIVersion
	case prefixRelated + "resource_version":
		return &f.related.ResourceVersion
	case prefixRelated + "field_path":
		return &f.related.FieldPath
	}
	return nil
}

// metadata keeps a key as Flux wrote it. Who made a record by other means
// knows nothing of Flux's prefixes: its keys are for whoever is notified.
func (f *fields) metadata(key, value string) {
	if f.event.Metadata == nil {
		f.event.Metadata = map[string]string{}
	}
	if f.foreign && !strings.HasPrefix(key, Group+"/") {
		key = Group + "/" + key
	}
	f.event.Metadata[key] = value
}

func (f *fields) workload(key string, value pcommon.Value) {
	rest, ok := strings.CutPrefix(key, "k8s.")
	if !ok {
		return
	}
	kind, field, ok := strings.Cut(rest, ".")
	if !ok || (field != "name" && field != "uid") {
		return
	}
	for i, w := range workloadKinds {
		if w.attribute != kind {
			continue
		}
		if f.workloads == nil {
			f.workloads = new([len(workloadKinds)]struct{ name, uid string })
		}
		if field == "name" {
			f.workloads[i].name = textOf(value)
		} else {
			f.workloads[i].uid = textOf(value)
		}
	}
}

// completeObject names an involved object where the record does not, and its
// API version where a record from elsewhere does not.
func (f *fields) completeObject() {
	object := &f.event.InvolvedObject
	if f.foreign && object.APIVersion == "" {
		object.APIVersion = "v1"
	}
	if object.Kind != "" && object.Name != "" {
		return
	}
	for i, w := range f.named() {
		if w.name == "" {
			continue
		}
		object.Kind, object.Name = workloadKinds[i].kind, w.name
		if object.UID == "" {
			object.UID = w.uid
		}
		return
	}
	if object.Kind == "" {
		object.Kind = "Log"
	}
	if object.Name == "" {
		object.Name = firstOf(f.event.ReportingController, "unknown_service")
	}
}

func (f *fields) named() []struct{ name, uid string } {
	if f.workloads == nil {
		return nil
	}
	return f.workloads[:]
}
