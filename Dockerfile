# Two images: `service` (the default; lean, no torch) and `training` (with torch).
#
#   docker build -t stillroom-service .
#   docker build -t stillroom-training --target training .
#
# PIP_INDEX_URL, PIP_EXTRA_INDEX_URL and PIP_TRUSTED_HOST may be given as build arguments; they stay in the
# builder stages. Wheels in deploy/wheels/ are preferred to downloads of the same version.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Without pip of its own: nobody installs anything into a running container.
RUN python -m venv --without-pip /opt/venv
COPY pyproject.toml constraints.txt deploy/requirements.py ./
RUN --mount=type=bind,source=deploy/wheels,target=/wheels \
    python requirements.py > service.txt \
    && python -m pip --python /opt/venv/bin/python install --find-links /wheels -c constraints.txt -r service.txt

# The one compiled part: the search of the catalogue. No flag names a processor, so the image runs on any of its kind.
FROM ${BASE} AS code
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY pyproject.toml deploy/build_extensions.py ./
COPY models models
RUN python build_extensions.py

FROM builder AS training-builder
RUN --mount=type=bind,source=deploy/wheels,target=/wheels \
    python requirements.py training > training.txt \
    && python -m pip --python /opt/venv/bin/python install --find-links /wheels -c constraints.txt -r training.txt

FROM ${BASE} AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HOME=/tmp
# A fixed uid: volumes keep their owner between the two images and between their versions.
RUN groupadd --gid 10001 stillroom \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stillroom \
    && install --directory --owner 10001 --group 10001 /store /spool /events \
    && install --directory --owner 999 --group 999 /redis
WORKDIR /app
STOPSIGNAL SIGTERM

FROM runtime AS training
# implicit's wheel links against the system's OpenMP, which slim images lack.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=training-builder /opt/venv /opt/venv
COPY --from=code /build/models models
COPY training training
# The monitor and the export of the log run beside the service, with what training has.
COPY service service
COPY deploy/fill-store.sh .
USER 10001:10001
CMD ["python", "-m", "training", "--help"]

FROM runtime AS service
COPY --from=builder /opt/venv /opt/venv
COPY --from=code /build/models models
COPY service service
RUN python -m compileall -q models service
ENV STILLROOM_HOST=0.0.0.0 STILLROOM_STORE=/store
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=5m --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('STILLROOM_PORT', 8000)}/health/ready\", timeout=2)"]
CMD ["python", "-m", "service"]
