# Two stages on one base. The tests run on the same Python.
ARG PYTHON=3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM python:${PYTHON} AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/machine \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# The lock before the code: a change of code alone installs no library again.
COPY uv.lock pyproject.toml ./
RUN python -m pip install --no-cache-dir "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)"
RUN uv sync --locked --no-dev --no-editable --no-install-project
COPY README.md LICENSE ./
COPY bot bot
COPY cogs cogs
RUN uv sync --locked --no-dev --no-editable
# Of the client for Kubernetes only the transport is used: the bytecode of all that its API has is 50 MB.
RUN find /opt/machine -type d -regex '.*/kubernetes/.*/\(models\|api\)/__pycache__' -prune -exec rm -rf {} +

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="The Machine" \
      org.opencontainers.image.description="A Discord ChatOps bot that watches over a Kubernetes platform run by GitOps." \
      org.opencontainers.image.licenses="Apache-2.0"
# The base comes without bytecode, and a read-only root never gets any: compiled once, here.
RUN python -m compileall -q -x 'site-packages|/test/|idlelib|ensurepip|lib2to3|tkinter|turtledemo' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && install -d -o 65532 -g 65532 /data
COPY --from=build /opt/machine /opt/machine
ENV PATH=/opt/machine/bin:$PATH \
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
