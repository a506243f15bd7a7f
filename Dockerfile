# The image of canary serve, with Helm and git in it:
#
#   docker build --tag canary-analyzer:0.1.0 .                        (with Helm 4, which rolls back what Helm 3 has made, too)
#   docker build --tag canary-analyzer:0.1.0-helm3 --build-arg HELM=3 .
#
# The base images are pinned by version. A tag can be moved by whoever owns it: pin the digest that you have looked at, by
# --build-arg PYTHON_IMAGE=python@sha256:… and GO_IMAGE=golang@sha256:…
ARG PYTHON_IMAGE=python:3.13.9-slim-trixie
ARG GO_IMAGE=golang:1.26.1-trixie

# Helm, from source: the modules and versions that the tests run with, each checked by its go.sum.
FROM ${GO_IMAGE} AS helm
ARG HELM=4
COPY tests/cluster/programs/build /programs/
COPY tests/cluster/programs/helm3 /programs/helm3
COPY tests/cluster/programs/helm4 /programs/helm4
ENV XDG_CACHE_HOME=/cache
RUN /programs/build "helm${HELM}" && cp "/cache/canary-analyzer/programs/helm${HELM}"-*/"helm${HELM}" /helm

# The service in a virtual environment of its own: every package by version and hash, nothing built but ours.
FROM ${PYTHON_IMAGE} AS package
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY deploy/image/build.txt deploy/image/requirements.txt ./deploy/image/
RUN python -m venv /opt/canary \
  && /opt/canary/bin/pip install --require-hashes --only-binary :all: -r deploy/image/requirements.txt \
  && pip install --require-hashes --only-binary :all: -r deploy/image/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY analyzer ./analyzer
COPY rules ./rules
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
  && /opt/canary/bin/pip install --no-deps --no-index /wheels/*.whl \
  && /opt/canary/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="canary-analyzer" \
  org.opencontainers.image.description="After each deploy, compares how the new revision serves with the one before it, and takes it back when it is worse" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/canary-analyzer/canary-analyzer"
# git and ssh: to revert what Argo CD brings out (docs/gitops.md). A release of Debian has one version of each at a time.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin canary \
  && install --directory --owner=canary --group=canary /data
COPY --from=helm /helm /usr/local/bin/helm
COPY --from=package /opt/canary /opt/canary
ENV PATH=/opt/canary/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
EXPOSE 8080
# No HEALTHCHECK: Kubernetes asks /healthz and /readyz.
ENTRYPOINT ["canary"]
CMD ["serve"]
