// Command schema reads files of Docker Compose and of Kubernetes as these read them: a member
// that they do not know, or a value of another type, is an error. It prints what the
// containers of Parley get to know, one NAME=VALUE a line, as the test in the folder above
// asks for it.
//
//	go run . compose FILE | kubernetes FILE
//
// It is a module of its own, so that these libraries are none of Parley's.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: schema compose FILE | kubernetes FILE")
	}
	read := map[string]func(string) error{"compose": compose, "kubernetes": kubernetes}[os.Args[1]]
	if read == nil {
		log.Fatalf("no kind of file %q", os.Args[1])
	}
	if err := read(os.Args[2]); err != nil {
		log.Fatalf("%s: %v", os.Args[2], err)
	}
}

// compose loads a file with the environment, as docker compose config does.
func compose(file string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithOsEnv, cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		if service.Image != "parley" {
			continue
		}
		fmt.Printf("# %s healthcheck=%q grace=%v\n", name, service.HealthCheck.Test, *service.StopGracePeriod)
		var names []string
		for name := range service.Environment {
			names = append(names, name)
		}
		for _, name := range slices.Sorted(slices.Values(names)) {
			if value := service.Environment[name]; value != nil {
				fmt.Printf("%s=%s\n", name, *value)
			}
		}
	}
	return nil
}

// kubernetes decodes each document into the type that it names.
func kubernetes(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return err
		}
		object := map[string]any{
			"apps/v1 Deployment": &appsv1.Deployment{}, "v1 Service": &corev1.Service{},
			"policy/v1 PodDisruptionBudget": &policyv1.PodDisruptionBudget{},
			"networking.k8s.io/v1 Ingress":  &networkingv1.Ingress{},
		}[kind.APIVersion+" "+kind.Kind]
		if object == nil {
			return fmt.Errorf("a document of the unknown kind %s %s", kind.APIVersion, kind.Kind)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return fmt.Errorf("%s: %w", kind.Kind, err)
		}
		if deployment, ok := object.(*appsv1.Deployment); ok {
			if err := show(deployment.Spec.Template.Spec); err != nil {
				return err
			}
		}
	}
}

// show prints what a pod tells Parley, and checks what only the whole of it shows.
func show(pod corev1.PodSpec) error {
	for _, c := range pod.Containers {
		probes := map[string]*corev1.Probe{
			"/healthz": c.LivenessProbe, "/healthz at start": c.StartupProbe, "/readyz": c.ReadinessProbe}
		for what, probe := range probes {
			if probe == nil || probe.HTTPGet == nil {
				return fmt.Errorf("the container %s has no probe of %s", c.Name, what)
			}
			if path := probe.HTTPGet.Path; path != what[:min(len(what), len(path))] {
				return fmt.Errorf("the container %s asks %s in place of %s", c.Name, path, what)
			}
		}
		fmt.Printf("# %s grace=%ds\n", c.Name, *pod.TerminationGracePeriodSeconds)
		for _, e := range c.Env {
			fmt.Printf("%s=%s\n", e.Name, e.Value)
		}
	}
	return nil
}
