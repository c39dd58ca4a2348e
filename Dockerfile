# The base is pinned by the digest of all its platforms. The tests run on the same Python.
FROM docker.io/library/python:3.11.15-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba AS base

FROM base AS build
# `graphs` brings what draws pictures of the past; 150 MB more.
ARG EXTRA=""
ENV UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/machine \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# The lock before the code: a change of code alone installs no library again.
COPY uv.lock pyproject.toml ./
# The lock has uv too, with the hashes of its files.
RUN { sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/uv==\1/p;}' uv.lock; \
      sed -n '/^name = "uv"$/,/^$/s/.*hash = "\(sha256:[0-9a-f]*\)".*/--hash=\1/p' uv.lock; } | tr '\n' ' ' > /tmp/uv.txt \
    && python -m pip install --no-cache-dir --require-hashes --only-binary :all: --requirement /tmp/uv.txt
# Nothing is built: a library without a wheel for this platform is an error, and not an hour of compiling.
RUN uv sync --locked --no-dev --no-editable --no-build --no-install-project ${EXTRA:+--extra "$EXTRA"}
COPY README.md LICENSE ./
COPY bot bot
COPY cogs cogs
# uv builds the project itself: nothing more is fetched.
RUN uv sync --locked --no-dev --no-editable --offline ${EXTRA:+--extra "$EXTRA"}
# Only what runs is kept. Of the client for Kubernetes that is the transport: its API and models are 60 MB.
RUN find /opt/machine/lib -type d -name tests -prune -exec rm -rf {} + \
    && find /opt/machine/lib -regex '.*/kubernetes/\(aio/\)?client/\(api\|models\)/.*' ! -name __init__.py -delete \
    && find /opt/machine/bin -type f ! -name machine -delete \
    && rm -rf /opt/machine/.gitignore /opt/machine/.lock /opt/machine/CACHEDIR.TAG /opt/machine/include
# What uv notes of the time of the sources would make each build another image.
RUN cd /opt/machine/lib/python3*/site-packages/the_machine-*.dist-info && rm uv_cache.json && sed -i '/uv_cache\.json/d' RECORD
# A read-only root never gets bytecode. Unchecked: builders round the times of files, and bytecode that compares them is stale.
RUN python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/machine/lib

FROM base
LABEL org.opencontainers.image.title="The Machine" \
      org.opencontainers.image.description="A Discord ChatOps bot that watches over a Kubernetes platform run by GitOps." \
      org.opencontainers.image.licenses="Apache-2.0"
# The base comes without bytecode, and with what installs and edits: neither is wanted in a cluster.
RUN cd "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf ensurepip idlelib lib2to3 tkinter turtledemo site-packages/* \
    && find /usr/local/bin -name 'pip*' -o -name 'wheel*' -o -name '2to3*' -o -name 'idle*' | xargs rm -f \
    && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash . \
    && install -d -o 65532 -g 65532 /data
COPY --from=build /opt/machine /opt/machine
# No home: a user without a name has none, and nobody's files are to be found in it.
ENV PATH=/opt/machine/bin:$PATH \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MACHINE_CONFIG=/etc/the-machine/machine.yaml
# The only folder that is written, with SQLite; mount a volume of the same owner here.
WORKDIR /data
USER 65532:65532
EXPOSE 8080
# Kubernetes asks /livez and /readyz; the exec form hands SIGTERM to Python itself.
ENTRYPOINT ["machine"]
CMD ["run"]
