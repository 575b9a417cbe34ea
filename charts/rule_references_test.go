package charts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

func portNumber(port int32) string { return strconv.Itoa(int(port)) }

// A reference is a name that a pod depends on, with the keys it needs.
type reference struct {
	kind, name string
	keys       []string
	optional   bool
}

// brokenReferences wants what pods name to be in the release, with the keys that they take; or to be one of those objects that stand
// outside by design.
func brokenReferences(r *release) []string {
	faults := faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, ref := range references(w) {
			have, found := keys(r, ref)
			switch {
			case found:
				for _, key := range ref.keys {
					if !slices.Contains(have, key) {
						fault("%s %s has no key %s", ref.kind, ref.name, key)
					}
				}
			case !ref.optional && !outside(r, ref):
				fault("there is no %s %s", ref.kind, ref.name)
			}
		}
	})
	for _, b := range all[*rbacv1.RoleBinding](r) {
		if _, found := named[*rbacv1.Role](r, b.RoleRef.Name); !found {
			faults = append(faults, fmt.Sprintf("RoleBinding %s: there is no Role %s", b.Name, b.RoleRef.Name))
		}
		faults = append(faults, strangers(r, "RoleBinding "+b.Name, b.Subjects)...)
	}
	for _, b := range all[*rbacv1.ClusterRoleBinding](r) {
		if _, found := named[*rbacv1.ClusterRole](r, b.RoleRef.Name); !found {
			faults = append(faults, fmt.Sprintf("ClusterRoleBinding %s: there is no ClusterRole %s", b.Name, b.RoleRef.Name))
		}
		faults = append(faults, strangers(r, "ClusterRoleBinding "+b.Name, b.Subjects)...)
	}
	for _, c := range all[*cnpgCluster](r) {
		for _, name := range cnpgSecrets(c) {
			if _, found := named[*corev1.Secret](r, name); !found {
				faults = append(faults, fmt.Sprintf("Cluster %s: there is no Secret %s", c.Name, name))
			}
		}
	}
	for _, d := range all[*cnpgDatabase](r) {
		if _, found := named[*cnpgCluster](r, d.Spec.Cluster.Name); !found {
			faults = append(faults, fmt.Sprintf("Database %s: there is no Cluster %s", d.Name, d.Spec.Cluster.Name))
		}
	}
	return faults
}

// strangers finds accounts that get rights and that no pod of the release runs as.
func strangers(r *release, binding string, subjects []rbacv1.Subject) []string {
	var faults []string
	for _, s := range subjects {
		runs := func(w workload) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Name == w.template.Spec.ServiceAccountName && s.Namespace == w.meta().GetNamespace()
		}
		if !slices.ContainsFunc(workloads(r), runs) {
			faults = append(faults, fmt.Sprintf("%s: no pod runs as %s %s/%s", binding, s.Kind, s.Namespace, s.Name))
		}
	}
	return faults
}

// outside says whether somebody else makes the object: Kubernetes, the person who named it in a value, or, for a chart that is
// installed alone, the charts beside it.
func outside(r *release, ref reference) bool {
	return ref.kind == "ConfigMap" && ref.name == "kube-root-ca.crt" ||
		slices.Contains(words(r.values), ref.name) ||
		r.alone() && strings.HasPrefix(ref.name, r.release+"-") && slices.Contains(beside(), strings.TrimPrefix(ref.name, r.release+"-"))
}

// beside are the Secrets that a stack's charts make for each other.
func beside() []string {
	return []string{"postgres-user", "postgres-note", "nats-user", "nats-note", "nats-gateway"}
}

// words returns all strings and numbers in values.
func words(values any) []string {
	switch v := values.(type) {
	case string:
		return []string{v}
	case float64, int:
		return []string{fmt.Sprint(v)}
	case []any:
		var found []string
		for _, item := range v {
			found = append(found, words(item)...)
		}
		return found
	case map[string]any:
		var found []string
		for _, item := range v {
			found = append(found, words(item)...)
		}
		return found
	}
	return nil
}

// keys returns the keys of what is referred to, and whether the release has it.
func keys(r *release, ref reference) ([]string, bool) {
	switch ref.kind {
	case "ConfigMap":
		if c, found := named[*corev1.ConfigMap](r, ref.name); found {
			return slices.Concat(slices.Collect(maps.Keys(c.Data)), slices.Collect(maps.Keys(c.BinaryData))), true
		}
	case "Secret":
		if s, found := named[*corev1.Secret](r, ref.name); found {
			return slices.Concat(slices.Collect(maps.Keys(s.Data)), slices.Collect(maps.Keys(s.StringData))), true
		}
	case "ServiceAccount":
		_, found := named[*corev1.ServiceAccount](r, ref.name)
		return nil, found
	case "PersistentVolumeClaim":
		_, found := named[*corev1.PersistentVolumeClaim](r, ref.name)
		return nil, found
	}
	return nil, false
}

func references(w workload) []reference {
	pod := w.template.Spec
	refs := []reference{}
	if pod.ServiceAccountName != "" && pod.ServiceAccountName != "default" {
		refs = append(refs, reference{kind: "ServiceAccount", name: pod.ServiceAccountName})
	}
	for _, s := range pod.ImagePullSecrets {
		refs = append(refs, reference{kind: "Secret", name: s.Name})
	}
	for _, v := range pod.Volumes {
		refs = append(refs, volumeReferences(v)...)
	}
	for _, c := range w.containers() {
		for _, e := range c.Env {
			refs = append(refs, variableReferences(e)...)
		}
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				refs = append(refs, reference{"ConfigMap", from.ConfigMapRef.Name, nil, is(from.ConfigMapRef.Optional)})
			}
			if from.SecretRef != nil {
				refs = append(refs, reference{"Secret", from.SecretRef.Name, nil, is(from.SecretRef.Optional)})
			}
		}
	}
	return refs
}

func is(b *bool) bool { return b != nil && *b }

func variableReferences(e corev1.EnvVar) []reference {
	switch from := e.ValueFrom; {
	case from == nil:
	case from.SecretKeyRef != nil:
		return []reference{{"Secret", from.SecretKeyRef.Name, []string{from.SecretKeyRef.Key}, is(from.SecretKeyRef.Optional)}}
	case from.ConfigMapKeyRef != nil:
		return []reference{{"ConfigMap", from.ConfigMapKeyRef.Name, []string{from.ConfigMapKeyRef.Key}, is(from.ConfigMapKeyRef.Optional)}}
	}
	return nil
}

func volumeReferences(v corev1.Volume) []reference {
	switch {
	case v.ConfigMap != nil:
		return []reference{{"ConfigMap", v.ConfigMap.Name, itemKeys(v.ConfigMap.Items), is(v.ConfigMap.Optional)}}
	case v.Secret != nil:
		return []reference{{"Secret", v.Secret.SecretName, itemKeys(v.Secret.Items), is(v.Secret.Optional)}}
	case v.PersistentVolumeClaim != nil:
		return []reference{{kind: "PersistentVolumeClaim", name: v.PersistentVolumeClaim.ClaimName}}
	case v.Projected != nil:
		var refs []reference
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				refs = append(refs, reference{"ConfigMap", s.ConfigMap.Name, itemKeys(s.ConfigMap.Items), is(s.ConfigMap.Optional)})
			}
			if s.Secret != nil {
				refs = append(refs, reference{"Secret", s.Secret.Name, itemKeys(s.Secret.Items), is(s.Secret.Optional)})
			}
		}
		return refs
	}
	return nil
}

func itemKeys(items []corev1.KeyToPath) []string {
	var found []string
	for _, item := range items {
		found = append(found, item.Key)
	}
	return found
}

func cnpgSecrets(c *cnpgCluster) []string {
	var found []string
	if c.Spec.Bootstrap != nil && c.Spec.Bootstrap.InitDB != nil && c.Spec.Bootstrap.InitDB.Secret != nil {
		found = append(found, c.Spec.Bootstrap.InitDB.Secret.Name)
	}
	if c.Spec.SuperuserSecret != nil {
		found = append(found, c.Spec.SuperuserSecret.Name)
	}
	if c.Spec.Managed != nil {
		for _, role := range c.Spec.Managed.Roles {
			if role.PasswordSecret != nil {
				found = append(found, role.PasswordSecret.Name)
			}
		}
	}
	return found
}

func looseVolumes(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		mounted := map[string]bool{}
		for _, v := range w.template.Spec.Volumes {
			mounted[v.Name] = false
		}
		for _, c := range w.claims {
			mounted[c.Name] = false
		}
		for _, c := range w.containers() {
			var paths []string
			for _, m := range c.VolumeMounts {
				paths = append(paths, m.MountPath)
				if _, found := mounted[m.Name]; !found {
					fault("container %s mounts %s, which is no volume of the pod", c.Name, m.Name)
				}
				mounted[m.Name] = true
			}
			for _, path := range repeated(paths) {
				fault("container %s mounts two volumes at %s", c.Name, path)
			}
		}
		for name, used := range mounted {
			if !used {
				fault("nothing mounts %s", name)
			}
		}
	})
}

// leakedSecrets finds what stands in a Secret in any other object, where more people may read it.
func leakedSecrets(r *release) []string {
	secrets := map[string]string{}
	for _, data := range secretData(r) {
		for key, value := range data {
			if isPassword(key) && len(value) >= 12 {
				secrets[value] = key
			}
		}
	}
	var faults []string
	for _, o := range r.objects {
		if o.kind() == "Secret" {
			continue
		}
		text, err := jsonOf(o)
		if err != nil {
			faults = append(faults, err.Error())
		}
		for value, where := range secrets {
			if strings.Contains(text, value) {
				faults = append(faults, fmt.Sprintf("%s: shows a Secret's %s", o, where))
			}
		}
	}
	for value, where := range secrets {
		if strings.Contains(r.notes, value) {
			faults = append(faults, "the notes show a Secret's "+where)
		}
	}
	return faults
}
