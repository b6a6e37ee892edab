// Command validate looks through the compose files and Kubernetes manifests without Docker or a cluster: compose-go loads the first, as
// docker compose config does; kustomize builds the second, and every object has to fit its type, field by field.
//
//	go run -C deploy/validate .
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := errors.Join(each("../compose.yaml", composeFile), each("../compose/*/compose.yaml", composeFile), each("../kubernetes/*", kustomization)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func each(pattern string, look func(path string) (string, error)) error {
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("there is nothing at %s", pattern)
	}
	for _, path := range paths {
		found, fault := look(path)
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", path, fault))
			continue
		}
		fmt.Println(path+":", found)
	}
	return err
}

func composeFile(path string) (string, error) {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithName("thermogate"), cli.WithEnv([]string{"TAG=1.2.3"}))
	if err != nil {
		return "", err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return "", err
	}
	// What is mounted has to be there, but for what the compose files say is made first.
	for _, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != "bind" || filepath.Base(filepath.Dir(volume.Source)) == "secrets" {
				continue
			}
			if _, fault := os.Stat(volume.Source); fault != nil && filepath.Base(volume.Source) != "password" {
				err = errors.Join(err, fmt.Errorf("service %s: %w", service.Name, fault))
			}
		}
	}
	return fmt.Sprint(project.ServiceNames()), err
}

var kinds = map[string]func() any{
	"v1/ConfigMap":                       func() any { return new(corev1.ConfigMap) },
	"v1/Namespace":                       func() any { return new(corev1.Namespace) },
	"v1/PersistentVolumeClaim":           func() any { return new(corev1.PersistentVolumeClaim) },
	"v1/Secret":                          func() any { return new(corev1.Secret) },
	"v1/Service":                         func() any { return new(corev1.Service) },
	"v1/ServiceAccount":                  func() any { return new(corev1.ServiceAccount) },
	"apps/v1/StatefulSet":                func() any { return new(appsv1.StatefulSet) },
	"apps/v1/Deployment":                 func() any { return new(appsv1.Deployment) },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return new(networkingv1.NetworkPolicy) },
	"networking.k8s.io/v1/Ingress":       func() any { return new(networkingv1.Ingress) },
	"policy/v1/PodDisruptionBudget":      func() any { return new(policyv1.PodDisruptionBudget) },
}

func kustomization(path string) (string, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		return "", err
	}
	var names []string
	for _, resource := range built.Resources() {
		text, fault := resource.AsYAML()
		name := fmt.Sprintf("%s %s", resource.GetKind(), resource.GetName())
		names = append(names, name)
		if fault == nil {
			kind, known := kinds[resource.GetApiVersion()+"/"+resource.GetKind()]
			if !known {
				fault = fmt.Errorf("%s %s is none of the kinds that are looked at here", resource.GetApiVersion(), resource.GetKind())
			} else {
				fault = yaml.UnmarshalStrict(text, kind())
			}
		}
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, fault))
		}
	}
	return fmt.Sprint(names), err
}
