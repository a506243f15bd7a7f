#!/bin/sh
# helm canary COMMAND …: the installed canary, with the Helm, the cluster and the namespace that helm was told.
#
# Helm takes its own flags out of the words, wherever they stand, and tells of them in the environment. canary reads the
# kubeconfig and the context there by itself; the namespace becomes a flag, so that it holds for every kind of target.
set -u

refuse() {
  printf 'helm canary: %s\n' "$1" >&2
  exit "$2"
}

# Helm dies at once of a signal that is sent to it alone, and would leave canary behind: it is told, and ends at its
# next safe point. It lets go of what canary reads and writes, or whoever reads that would wait for it.
follow() {
  exec </dev/null >/dev/null 2>&1
  while kill -0 "$1" && kill -0 "$2"; do sleep 1; done
  kill -0 "$1" || kill -TERM "$2"
}

command -v canary >/dev/null 2>&1 \
  || refuse "there is no canary on PATH: install it (pip install canary-analyzer), or add its folder to PATH" 4

[ "${HELM_DEBUG:-false}" != true ] || export CANARY_DEBUG=1
[ -z "${HELM_BIN:-}" ] || export CANARY_HELM="${CANARY_HELM:-$HELM_BIN}"

case ${1:-} in
  check | upgrade | history | rbac) ;;
  *) exec canary "$@" ;;
esac

for name in APISERVER TOKEN ASUSER ASGROUPS CAFILE TLS_SERVER_NAME INSECURE_SKIP_TLS_VERIFY; do
  eval "value=\${HELM_KUBE$name:-}"
  # shellcheck disable=SC2154
  case $value in
    '' | false) ;;
    *) refuse "HELM_KUBE$name, or the flag for it, would hold for helm alone: canary knows a cluster by its kubeconfig; \
write it there, and choose it by --kubeconfig and --kube-context" 2 ;;
  esac
done

command=$1 attaches='' on_server=''
shift
for word; do
  case $word in
    --attach | --attach=*) attaches=yes ;;
    --server | --server=*) on_server=yes ;;
  esac
done

# First of all words: whoever has written -nNAME in one, which Helm does not take out, is heard last.
if [ -n "${HELM_NAMESPACE:-}" ] && [ -z "$attaches" ]; then
  set -- "--namespace=$HELM_NAMESPACE" "$@"
fi
# What runs on a server goes on there; a second signal would only keep canary from telling how it ended.
if [ -z "$on_server" ]; then
  follow "$PPID" "$$" & # "$$" stays the same: exec keeps the process
fi
exec canary "$command" "$@"
