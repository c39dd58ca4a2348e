#!/usr/bin/env bash
# Runs an image as the chart does: somebody without a name or capabilities, a read-only root, a volume and a /tmp.
# try-image.sh IMAGE; ENGINE=podman takes another engine.
set -euo pipefail
image=$1 engine=${ENGINE:-docker}

work=$(mktemp -d)
container=
finish() {
    if [ -n "$container" ]; then "$engine" rm --force "$container" >/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
chmod 755 "$work"
mkdir "$work/config" "$work/data"
chmod 777 "$work/data"
# Nobody answers at this address: the bot must live all the same.
cat >"$work/config/machine.yaml" <<'YAML'
discord:
  token: not-a-token
  guild: "1136200000000000000"
  channels: {alerts: "1136200000000000001"}
  api_url: http://127.0.0.1:9/api/v10
  gateway_url: ws://127.0.0.1:9/
web: {tokens: [let-me-in]}
alerts:
  routes:
    - {channel: alerts}
YAML
as_in_a_pod=(--read-only --cap-drop ALL --security-opt no-new-privileges --user 12345:12345
    --tmpfs /tmp --volume "$work/data:/data" --volume "$work/config:/etc/the-machine:ro")

fail() {
    echo "$1" >&2
    [ -z "$container" ] || "$engine" logs "$container" >&2
    exit 1
}

command_of_the_image() { "$engine" run --rm "${as_in_a_pod[@]}" "$image" "$@"; }

python_of_the_image() { "$engine" run --rm "${as_in_a_pod[@]}" --entrypoint python "$image" "$@"; }

start() { container=$("$engine" run --detach "${as_in_a_pod[@]}" "$image"); }

# Stops it within the time given, and fails unless it ended with one of the statuses given.
stop() {
    local within=$1 status
    shift
    "$engine" stop --time "$within" "$container" >/dev/null
    status=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
    [[ " $* " == *" $status "* ]] || fail "it ended with $status after a stop"
    "$engine" rm "$container" >/dev/null
    container=
}

command_of_the_image version
command_of_the_image check-config
command_of_the_image migrate

imports=$(python_of_the_image -v -c 'import bot.app, bot.kube.client' 2>&1) || fail "$imports"
if grep 'bytecode is stale' <<<"$imports"; then fail "the bytecode does not fit the code"; fi
python_of_the_image -c '
import importlib.util, shutil, ssl, zoneinfo
zoneinfo.ZoneInfo("Europe/Berlin")
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50, "nobody is trusted"
assert not importlib.util.find_spec("pip"), "pip is there"
assert not shutil.which("uv"), "uv is there"
if importlib.util.find_spec("matplotlib"):
    print("with graphs")
'

start
began=$SECONDS
until "$engine" exec "$container" python -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8080/readyz")' 2>/dev/null; do
    [ $((SECONDS - began)) -lt 60 ] || fail "it does not become ready"
    sleep 0.2
done
stop 20 0

# The first process must end by itself even before it is ready.
start
stop 20 0 143
echo "$image runs"
