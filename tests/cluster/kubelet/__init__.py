"""A simulated kubelet (and scheduler): pods of a real API server become real enough for tests, without containers.

    python -m tests.cluster.kubelet --kubeconfig FILE --node NAME --folder FOLDER

It registers one node, binds pods to it, gives each an address in 10.244.0.0/16, serves the demo's simulated service
there, and reports what a kubelet would report. All pods live in this one process, each with counters of its own.

**The image's tag says how a container behaves.** A tag is words joined by `-`, some followed by numbers; what is not in
this list (`1.0`, `v2`, the `b` of `good-b`) changes nothing and tells equal behaviours apart:

    good                 as the demo's good service: 0.1 % errors, a median of 20 ms
    clean                without these 0.1 % errors
    errors[-P]           P percent of errors more (2)
    late-errors[-S[-P]]  the same from S seconds (40) after the container's start on, P percent (5)
    slow[-F]             each answer takes F times as long (2)
    leaking[-M]          resident memory grows by M MiB per second (1)
    slow-start[-S]       listens, and is ready, only after S seconds (20)
    never-ready          serves, and is never ready
    crashing[-S]         exits with 1 after S seconds (at once): Error, CrashLoopBackOff
    oom[-S]              killed after S seconds (3): OOMKilled, exit code 137
    image-pull           ErrImagePull, ImagePullBackOff
    config-error         CreateContainerConfigError
    unschedulable        stays Pending without a node

They combine: `errors-2-slow-3`, `slow-start-20-errors-5`. A number out of its range makes an InvalidImageName.

Containers of pods with restartPolicy Never or OnFailure are tasks that end after a second, with 0 unless `crashing` or
`oom`. A container that has a port serves on the one named `http`, else on its first.

**A container with a `command`, and one of the image `canary-analyzer`, is a real process of this machine**, unless its
image is in the registry `simulated.example`: programs of this machine, this checkout read only, `canary`, `kubectl` and
`helm` (Helm 3 if a word of the tag is `helm3`, else Helm 4), in mount and process namespaces of its own. It has the
variables, the user, the probes (HTTP and TCP), the grace and the read-only root that its pod says, the rights of its
ServiceAccount, and volumes: configMap, secret, downwardAPI, projected, emptyDir, and persistentVolumeClaim, which is
bound by the first pod that uses it. It shares the network of the node: the analyzer listens at its pod's address, which
it finds in `CANARY_LISTEN__HOST`; others should listen at their `status.podIP`. Limits of resources are not held, and
neither `exec` and gRPC probes nor lifecycle hooks are run.
"""
