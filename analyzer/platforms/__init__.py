"""What is analysed and taken back, and the cluster that it lives in.

A Helm release: `helm` is the platform; `helm_program` runs the CLI (3 and 4), `helm_complaint` explains its failures;
`helm_history` and `helm_manifest` read what it prints, `helm_storage` (by `json_parts`) what it keeps; `helm_rollback`
is the way back; `helm_upgrade` and `helm_flags` are behind `canary upgrade`; `helm_obstacles` looks for what speaks
against a way back: `migration` (told by `migration_words`), `ownership`, `drift`, `storm`;
`flux` suspends who would bring a release out again.
The cluster: `cluster` asks the API server that `kubeconfig` names, `cluster_watch` lists and watches; `workloads`,
`pods` and `pod_health` tell whose pods are whose and how they fare; `verdicts` and `verdict_record` keep what was
found; `rights`, `discovery` and `audit` tell what is missing and what goes wrong; `token_review` tells whose a token
is; `parts` are those of any object, `starting` how long pods take to be ready.
A Rollout of Argo: `rollout` is the platform; `rollout_state` and `rollout_runs` read its status, `rollout_control` is
the way back.
An Application of Argo CD: `application` is the platform; `application_state` and `application_pods` read it,
`application_obstacles` looks for what speaks against a way back; `application_control` (what it writes:
`application_change`) and `application_revert` are the ways back, the latter by `git` and `git_revert`.
Anything else: `command` is taken back by a command of the user's. `program` is one run of another program;
`starter` begins one, unless it is too late.
"""
