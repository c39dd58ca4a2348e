"""What the chart makes of values, one behaviour each."""

import base64

import pytest
import yaml

from bot.settings.schema import inner_section
from bot.settings.shape import keys_of
from bot.settings.tree import Settings
from tests.chart.values import EXAMPLES, GUILD, MINIMAL, merged
from tests.support.helm import HelmError, notes, render
from tests.support.manifests import NEWEST, OLDEST, problems

POSTGRESQL = {"config": {"database": {"url_file": "/run/secrets/the-machine/database-url"}}}
ARGO_CD = {"config": {"kubernetes": {"argocd": {}}}}


def rendered(*layers, **options):
    return render(merged(MINIMAL, *layers), **options)


def config(*layers):
    return yaml.safe_load(rendered(*layers).config)


def checksum(*layers):
    annotations = rendered(*layers).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    return annotations.get("checksum/config")


# The configuration.


def test_what_a_person_need_not_say_is_filled_in():
    found = config()
    assert found["discord"]["token_file"] == "/run/secrets/the-machine/discord-token"
    assert found["web"] == {"tokens_file": "/run/secrets/the-machine/webhook-tokens"}
    assert found["database"] == {"url": "sqlite+aiosqlite:////data/machine.db"}


def test_what_a_person_says_is_left_alone():
    said = {
        "discord": {"token_file": "/elsewhere/token"},
        "web": {"tokens_file": "/elsewhere/tokens", "port": 9000},
        "database": {"url": "sqlite+aiosqlite:////data/other.db"},
    }
    found = config({"config": said})
    assert (found["discord"]["token_file"], found["web"], found["database"]) == (
        "/elsewhere/token",
        said["web"],
        said["database"],
    )


EVERYTHING_THAT_ASKS = {
    "networkPolicy": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
}


@pytest.mark.parametrize("section", ["access", "kubernetes", "minecraft"])
def test_a_section_that_is_left_empty_is_none(section):
    emptied = {"config": {section: None}}
    without, empty = rendered(EVERYTHING_THAT_ASKS), rendered(EVERYTHING_THAT_ASKS, emptied)
    assert [each for each in empty.documents if each["kind"] != "ConfigMap"] == [
        each for each in without.documents if each["kind"] != "ConfigMap"
    ]
    assert notes(merged(MINIMAL, emptied)) == notes(MINIMAL)


def test_without_argo_cd_nothing_of_it_is_rendered():
    found = rendered(EVERYTHING_THAT_ASKS, {"config": {"kubernetes": {"argocd": None}}})
    assert found.kinds & {"Role", "ClusterRole"} == set()
    assert "ClusterRole" not in notes(merged(MINIMAL, {"config": {"kubernetes": {"argocd": None}}}))


def test_ids_keep_every_digit():
    assert config()["discord"]["guild"] == GUILD


def test_on_without_quotation_marks_is_understood():
    grants = [{"users": ["1136200000000000001"], "may": ["alerts:*"], True: ["*"]}]
    [grant] = config({"config": {"access": {"grants": grants}}})["access"]["grants"]
    assert grant["on"] == ["*"]
    assert True not in grant


def test_the_port_of_the_configuration_is_the_containers():
    found = rendered({"config": {"web": {"port": 9000}}})
    assert found.container["ports"] == [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]
    assert found.one("Service")["spec"]["ports"][0]["targetPort"] == "http"


def test_exactly_what_needs_a_restart_restarts_the_pods():
    kept = checksum()
    harmless = {
        "alerts": {"poll": "2m"},
        "web": {"tokens_file": "/elsewhere"},
        "discord": {"roles": {"oncall": "1136200000000000007"}},
        "log": {"level": "debug"},
        "operations": {},
        "access": {"grants": []},
    }
    assert checksum({"config": harmless}) == kept
    changes = {
        "discord.guild": "1136200000000000009",
        "discord.token_file": "/elsewhere",
        "web.port": 9000,
        "web.host": "127.0.0.1",
        "web.max_body_mib": 64,
        "database.url": "sqlite+aiosqlite:////data/other.db",
        "kubernetes.argocd": {},
        "minecraft.servers": [],
        "minecraft.discover": True,
        "minecraft.namespaces": ["games"],
    }
    for path, value in changes.items():
        section, _, key = path.partition(".")
        assert checksum({"config": {section: {key: value}}}) != kept, path


def test_of_a_cluster_only_the_way_to_it_restarts_the_pods():
    watched = {"config": {"kubernetes": {"argocd": {"write": True}}}}
    kept = checksum(watched)

    def changed(**kubernetes):
        return checksum(watched, {"config": {"kubernetes": kubernetes}}) != kept

    news = [{"match": ['project="prod"'], "channel": "critical"}, {"channel": "none"}]
    assert not changed(argocd={"news": news, "quiet": False, "settle": "5m", "write": False})
    assert changed(argocd={"namespaces": ["argocd", "apps"]})
    assert changed(argocd=None)
    assert changed(context="home")
    assert changed(timeout="5s")


def test_the_chart_knows_every_key_that_needs_a_restart():
    known = {"discord.token", "discord.token_file", "discord.guild", "discord.api_url", "discord.gateway_url"}
    known |= {"web.host", "web.port", "web.max_body_mib", "database"}
    known |= {"kubernetes", "kubernetes.context", "kubernetes.kubeconfig", "kubernetes.timeout"}
    known |= {"kubernetes.argocd", "kubernetes.argocd.namespaces"}
    known |= {"minecraft.discover", "minecraft.namespaces"}
    assert set(marked(Settings)) <= known, "tell configForStart in chart/templates/_config.tpl of it"


def marked(section, path=()):
    for name, key in keys_of(section).items():
        inner = inner_section(key)
        if key.needs_restart or key.needs_restart_to_appear:
            yield ".".join((*path, name))
        if inner is not None and not key.needs_restart:
            yield from marked(inner, (*path, name))


def test_a_restart_for_any_change_or_none_can_be_had():
    louder = {"config": {"log": {"level": "debug"}}}
    assert checksum({"configChecksum": "any"}) != checksum({"configChecksum": "any"}, louder)
    assert checksum({"configChecksum": "never"}) is None


# Secrets.


def test_a_secret_that_is_there_is_mounted_whole():
    found = rendered()
    assert "Secret" not in found.kinds
    [volume] = [volume for volume in found.pod["volumes"] if volume["name"] == "secrets"]
    assert volume["secret"] == {"secretName": "the-machine", "defaultMode": 0o440}


def test_a_secret_can_come_from_values_and_a_change_restarts():
    inline = {"secrets": {"existingSecret": "", "inline": {"discord-token": "a", "webhook-tokens": "b"}}}
    found = rendered(inline)
    secret = found.one("Secret")
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {
        "discord-token": b"a",
        "webhook-tokens": b"b",
    }
    annotations = found.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert "checksum/secret" in annotations


def test_a_secret_can_come_from_a_store():
    external = {
        "enabled": True,
        "secretStoreRef": {"name": "vault"},
        "dataFrom": [{"extract": {"key": "kv/the-machine"}}],
    }
    found = rendered({"secrets": {"existingSecret": "", "externalSecret": external}}).one("ExternalSecret")
    assert found["spec"]["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}
    assert found["spec"]["target"]["name"] == "the-machine"
    assert found["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "-1"


@pytest.mark.parametrize("existing", ["", "one"])
def test_not_exactly_one_source_of_secrets_is_refused(existing):
    inline = {} if not existing else {"discord-token": "a"}
    with pytest.raises(HelmError, match="say exactly one of existingSecret"):
        rendered({"secrets": {"existingSecret": existing, "inline": inline}})


# The database.


def test_sqlite_is_one_process_on_a_volume_that_is_kept():
    found = rendered()
    assert found.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    claim = found.one("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }
    assert "lifecycle" not in found.container


def test_more_processes_on_sqlite_are_refused():
    with pytest.raises(HelmError, match="SQLite takes one process"):
        rendered({"replicas": 2})


def test_postgresql_rolls_and_spreads():
    found = rendered(POSTGRESQL, {"replicas": 3})
    deployment = found.one("Deployment")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    [spread] = found.pod["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "ScheduleAnyway",
    )
    assert "PersistentVolumeClaim" not in found.kinds
    assert config(POSTGRESQL)["database"] == POSTGRESQL["config"]["database"]
    assert "topologySpreadConstraints" not in rendered(POSTGRESQL).pod


def test_a_secret_of_cloudnativepg_says_where_the_database_is_whatever_its_password():
    found = rendered({"postgresql": {"existingSecret": "shared-app"}, "replicas": 2})
    env = {each["name"]: each for each in found.container["env"]}
    keys = {
        "PGHOST": "host",
        "PGPORT": "port",
        "PGDATABASE": "dbname",
        "PGUSER": "username",
        "PGPASSWORD": "password",
    }
    for name, key in keys.items():
        assert env[name]["valueFrom"]["secretKeyRef"] == {"name": "shared-app", "key": key}
    # In an address an @ or a / of the password would end it.
    assert env["MACHINE_DATABASE__URL"]["value"] == "postgresql+asyncpg://"
    assert "database" not in yaml.safe_load(found.config)


def test_a_pooler_takes_the_place_of_the_database():
    pooler = {"name": "PGHOST", "value": "the-machine-db-pooler-rw"}
    env = rendered({"postgresql": {"existingSecret": "shared-app"}, "extraEnv": [pooler]}).container["env"]
    assert [each for each in env if each["name"] == "PGHOST"] == [pooler]
    # What refers to a variable finds only those before it, and the person's own come last.
    assert "$(PG" not in yaml.safe_dump(env)


def test_a_cluster_of_cloudnativepg_comes_before_the_bot():
    found = rendered({"postgresql": {"cluster": {"enabled": True, "spec": {"instances": 5}}}})
    cluster = found.one("Cluster")
    assert cluster["metadata"]["name"] == "the-machine-db"
    assert cluster["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "-1"
    assert cluster["spec"]["instances"] == 5
    assert cluster["spec"]["bootstrap"]["initdb"] == {"database": "machine", "owner": "machine"}
    names = {each["name"]: each for each in found.container["env"]}
    assert names["PGHOST"]["valueFrom"]["secretKeyRef"]["name"] == "the-machine-db-app"


def test_a_cluster_that_recovers_from_a_backup_makes_no_new_database():
    def bootstrap(said):
        cluster = {"enabled": True, "spec": {"bootstrap": said}}
        return rendered({"postgresql": {"cluster": cluster}}).one("Cluster")["spec"]["bootstrap"]

    recovery = {"recovery": {"source": "former", "database": "machine", "owner": "machine"}}
    # CloudNativePG refuses two ways to begin.
    assert bootstrap(recovery) == recovery
    checked = {"database": "machine", "owner": "machine", "dataChecksums": True}
    assert bootstrap({"initdb": {"dataChecksums": True}}) == {"initdb": checked}


def test_two_databases_are_refused():
    with pytest.raises(HelmError, match="another database"):
        rendered(POSTGRESQL, {"postgresql": {"existingSecret": "x"}})
    with pytest.raises(HelmError, match="not both"):
        rendered({"postgresql": {"existingSecret": "x", "cluster": {"enabled": True}}})


def test_a_volume_that_is_there_is_used():
    found = rendered({"persistence": {"existingClaim": "mine"}})
    assert "PersistentVolumeClaim" not in found.kinds
    assert {"persistentVolumeClaim": {"claimName": "mine"}, "name": "data"} in found.pod["volumes"]


# The pod.


def test_the_pod_knows_its_own_name_which_the_bot_looks_for():
    env = {each["name"]: each for each in rendered().container["env"]}
    assert env["POD_NAME"]["valueFrom"]["fieldRef"] == {"fieldPath": "metadata.name"}
    assert env["POD_NAMESPACE"]["valueFrom"]["fieldRef"] == {"fieldPath": "metadata.namespace"}


def test_probes_ask_what_they_are_for():
    container = rendered().container
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_only_what_must_be_written_can_be():
    mounts = {each["mountPath"]: each.get("readOnly", False) for each in rendered().container["volumeMounts"]}
    assert mounts == {
        "/etc/the-machine": True,
        "/run/secrets/the-machine": True,
        "/data": False,
        "/tmp": False,
    }


def test_without_a_cluster_to_watch_the_pod_has_no_way_to_it():
    found = rendered()
    assert found.pod["automountServiceAccountToken"] is False
    assert not {"Role", "ClusterRole"} & found.kinds
    found = rendered(ARGO_CD)
    assert found.pod["automountServiceAccountToken"] is True
    assert found.one("ServiceAccount")["automountServiceAccountToken"] is False


def test_rights_can_be_left_to_others():
    found = rendered(
        ARGO_CD, {"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "theirs"}}
    )
    assert not {"Role", "ClusterRole", "ServiceAccount"} & found.kinds
    assert found.pod["serviceAccountName"] == "theirs"


def test_a_digest_counts_more_than_a_tag():
    digest = f"sha256:{'0' * 64}"
    image = {"repository": "r.example.org/m", "tag": "1.0"}
    assert rendered({"image": image}).container["image"] == "r.example.org/m:1.0"
    assert rendered({"image": {**image, "digest": digest}}).container["image"] == f"r.example.org/m@{digest}"
    with pytest.raises(HelmError, match="where the image is"):
        rendered({"image": {"repository": ""}})


def test_traces_go_where_they_are_told():
    env = {
        each["name"]: each.get("value")
        for each in rendered({"otlp": {"endpoint": "http://c:4318"}}).container["env"]
    }
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://c:4318"
    assert env["OTEL_SERVICE_NAME"] == "the-machine"
    # Two replicas must not be one series.
    assert "service.instance.id=$(POD_NAME)" in env["OTEL_RESOURCE_ATTRIBUTES"]
    assert "OTEL_METRICS_EXPORTER" not in env


def test_metrics_are_sent_where_nobody_scrapes():
    env = rendered({"otlp": {"endpoint": "http://c:4318", "metrics": True}}).container["env"]
    assert {"name": "OTEL_METRICS_EXPORTER", "value": "otlp"} in env
    with pytest.raises(HelmError, match="everything twice"):
        rendered(
            {"otlp": {"endpoint": "http://c:4318", "metrics": True}, "serviceMonitor": {"enabled": True}}
        )


def test_no_variable_is_there_twice():
    theirs = [
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "deployment.environment=prod"},
        {"name": "MACHINE_DATABASE__URL", "value": "postgresql+asyncpg://elsewhere/db"},
    ]
    layers = {
        "otlp": {"endpoint": "http://c:4318"},
        "postgresql": {"existingSecret": "x"},
        "extraEnv": theirs,
    }
    env = rendered(layers).container["env"]
    names = [each["name"] for each in env]
    assert len(set(names)) == len(names)
    assert [each for each in env if each["name"] in {one["name"] for one in theirs}] == theirs


def test_everything_extra_is_taken():
    [example] = [path for path in EXAMPLES if path.stem == "try-values"]
    found = render(files=[example])
    assert [each["name"] for each in found.pod["containers"]] == ["the-machine", "beside"]
    assert [each["name"] for each in found.pod["initContainers"]] == ["wait"]
    assert {"name": "MACHINE_LOG__LEVEL", "value": "debug"} in found.container["env"]
    assert {each["metadata"]["name"] for each in found.all("ConfigMap")} == {
        "the-machine", "the-machine-more", "of-the-machine",
    }  # fmt: skip
    assert found.one("Service")["metadata"]["labels"]["team"] == "platform"


# The network.


def policy(*layers):
    return rendered({"networkPolicy": {"enabled": True}}, *layers).one("NetworkPolicy")["spec"]


def ports_to(spec, *, block=None):
    """The ports of rules towards pods, or towards a range of addresses."""
    found = set()
    for rule in spec["egress"]:
        for peer in rule.get("to", ()):
            is_pods = peer == {"namespaceSelector": {}}
            if is_pods if block is None else peer.get("ipBlock", {}).get("cidr") == block:
                found |= {port["port"] for port in rule["ports"]}
    return found


def test_a_policy_opens_what_is_configured_and_nothing_else():
    assert ports_to(policy()) == set()
    assert ports_to(policy(), block="10.0.0.0/8") == set()
    assert ports_to(policy(), block="0.0.0.0/0") == {443}
    alertmanagers = [
        {"name": "main", "urls": ["http://alertmanager.monitoring:80", "https://alertmanager.example.org"]},
        {"name": "lab", "kind": "grafana", "urls": ["http://grafana.monitoring"]},
    ]
    assert ports_to(policy({"config": {"alertmanagers": alertmanagers}})) == {80, 443, 3000, 9093}
    assert ports_to(policy(POSTGRESQL)) == {5432}
    server = {"server": {"url": "https://argocd-server.argocd", "token_file": "/t"}}
    spec = policy({"config": {"kubernetes": {"argocd": server}}})
    assert ports_to(spec) == {443, 8080}
    assert ports_to(spec, block="10.0.0.0/8") == {443, 6443}


def test_a_policy_lets_traces_out():
    assert ports_to(policy({"otlp": {"endpoint": "http://alloy.alloy:4318"}})) == {4318}


def test_a_policy_lets_minecraft_servers_be_asked_wherever_they_are():
    servers = [
        {"name": "a", "address": "mc.example.org"},
        {"name": "b", "address": "10.0.0.7:25570", "rcon": {"address": "10.0.0.7", "password_file": "/p"}},
        {"name": "c", "address": "mc.example.org", "edition": "bedrock"},
        {"name": "d", "address": "[2001:db8::7]:25571"},
    ]

    def opened(**minecraft):
        spec = policy({"config": {"minecraft": minecraft}})
        rules = [rule for rule in spec["egress"] if "to" not in rule]
        return {(port["port"], port["protocol"]) for rule in rules for port in rule["ports"]}

    assert opened(servers=servers) == {
        (25565, "TCP"), (25570, "TCP"), (25575, "TCP"), (19132, "UDP"), (25571, "TCP"),
    }  # fmt: skip
    assert opened(discover=True) == {(25565, "TCP"), (19132, "UDP")}
    consoles = [{"name": "e", "address": "10.0.0.8:25580", "password_file": "/p"}]
    assert opened(consoles=consoles) == {(25580, "TCP")}
    assert opened() == set()


def test_a_policy_keeps_the_inside_out_of_what_is_open_to_the_world():
    [world] = [
        peer["ipBlock"]
        for rule in policy()["egress"]
        for peer in rule["to"]
        if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
    ]
    assert {"10.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16"} <= set(world["except"])


def test_who_may_send_can_be_said():
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    [rule] = policy({"networkPolicy": {"ingressFrom": [monitoring]}})["ingress"]
    assert rule == {"ports": [{"port": "http", "protocol": "TCP"}], "from": [monitoring]}


@pytest.mark.parametrize("kind", ["Ingress", "HTTPRoute"])
def test_metrics_and_probes_are_not_shown_outside(kind):
    ways = {
        "Ingress": {"ingress": {"enabled": True, "hosts": ["m.example.org"]}},
        "HTTPRoute": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
    }
    text = yaml.safe_dump(rendered(ways[kind]).one(kind)["spec"])
    assert "/webhooks" in text
    assert "/oncall" in text
    assert "/metrics" not in text
    assert "/livez" not in text


# What is said after an install.


def test_notes_say_what_to_do_next():
    text = notes(merged(MINIMAL, {"applicationId": "1136200000000000009"}))
    assert "client_id=1136200000000000009" in text
    assert "permissions=117760" in text
    assert "http://the-machine.the-machine:8080/webhooks/alertmanager" in text
    assert "config.access is not set" in text
    threads = {"config": {"alerts": {"routes": [{"channel": "alerts", "thread": True}]}}}
    assert "permissions=309237763072" in notes(merged(MINIMAL, threads))


def test_notes_warn_of_what_one_may_regret():
    risky = {
        "secrets": {"existingSecret": "", "inline": {"discord-token": "a"}},
        "persistence": {"enabled": False},
        "config": {"kubernetes": {"argocd": {"namespaces": [], "write": True}}, "access": {"grants": []}},
    }
    text = notes(merged(MINIMAL, risky))
    assert "in the clear" in text
    assert "forgets every incident" in text
    assert "may patch every Application" in text
    assert "config.access is not set" not in text


def test_the_release_may_have_another_name():
    found = rendered(release="prod")
    assert found.one("Deployment")["metadata"]["name"] == "prod-the-machine"
    found = rendered({"fullnameOverride": "bot"}, release="prod")
    assert found.one("Deployment")["metadata"]["name"] == "bot"


def test_a_wrong_manifest_would_be_noticed():
    deployment = rendered().one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert list(problems(deployment, OLDEST)) != []
    claim = rendered().one("PersistentVolumeClaim")
    claim["spec"]["accessModes"] = "ReadWriteOnce"
    assert list(problems(claim, NEWEST)) != []
