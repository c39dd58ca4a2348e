"""One case for each rule, named for it: a valid file, the one change that breaks it, and what is then said."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings.load import default_file, load_settings
from bot.settings.problems import ConfigurationError
from bot.settings.reference import EXAMPLE
from bot.settings.tree import Settings
from bot.settings.validation import settings_from

TOKEN = "a-token-that-nobody-may-see"


def a_configuration() -> dict[str, Any]:
    data = yaml.safe_load(EXAMPLE)
    del data["discord"]["token_file"], data["web"]["tokens_file"]
    # YAML 1.1 reads this key as true; the loader under test does not.
    data["access"]["grants"][0]["on"] = data["access"]["grants"][0].pop(True)
    data["discord"]["token"] = TOKEN
    data["web"]["tokens"] = [TOKEN]
    return data


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the valid configuration with one value set, or taken away by `...`."""
    data = a_configuration()
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    holder: Any = data
    for step in steps:
        holder = holder[step] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return data


def problems_of(tmp_path: Path, content: str | dict[str, Any], **environ: str) -> list[str]:
    """Return what is said about the file, without its folder."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, content, **environ)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def load(tmp_path: Path, content: str | dict[str, Any], **environ: str) -> Settings:
    file = tmp_path / "machine.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return load_settings(file, environ).settings


RULES: dict[str, tuple[str, Any, str]] = {
    "unknown section": ("oncal", {}, "oncal: unknown key"),
    "unknown key": ("web.prot", 1, "web.prot: unknown key; did you mean port?"),
    "unknown key in a list": ("alerts.routes.1.chanel", "x", "alerts.routes[1].chanel: unknown key; did you mean channel?"),
    "unknown twin": ("discord.token_fle", "x", "discord.token_fle: unknown key; did you mean token_file?"),
    "missing token": ("discord.token", ..., "discord.token: missing; expected: the token of the bot, from the developer portal's page Bot (or token_file or MACHINE_DISCORD__TOKEN)"),
    "missing guild": ("discord.guild", ..., "discord.guild: missing"),
    "missing section": ("alerts", ..., "alerts: missing"),
    "text for a number": ("web.port", "http", "web.port: expected a whole number"),
    "number too large": ("web.port", 70000, "web.port: expected a number of at most 65535"),
    "number too small": ("web.max_body_mib", 0, "web.max_body_mib: expected a number of at least 1"),
    "number for text": ("web.host", 5, "web.host: expected text"),
    "list for a section": ("web", [1], "web: expected keys with values"),
    "text for a list": ("alerts.routes.0.match", "a=b", "alerts.routes[0].match: expected a list"),
    "text for a truth": ("alerts.routes.0.continue", "perhaps", "alerts.routes[0].continue: expected true or false"),
    "unknown choice": ("log.level", "inf", "log.level: expected debug or info or warning or error; did you mean info?"),
    "no duration": ("alerts.routes.1.remind", "15 minutes", "alerts.routes[1].remind: expected a duration such as 30s, 15m, 1h30m or 7d"),
    "duration without unit": ("alertmanagers.0.timeout", 10, "alertmanagers[0].timeout: expected a duration"),
    "duration of nothing": ("alerts.reopen_within", "0s", "alerts.reopen_within: expected a duration of more than nothing"),
    "no id": ("discord.guild", "my server", "discord.guild: expected a Discord id"),
    "id that YAML rounded": ("discord.guild", 1.1362e18, "discord.guild: expected a Discord id"),
    "no channel at all": ("discord.channels", {}, "discord.channels: expected at least 1, found 0"),
    "channel called none": ("discord.channels.none", "1", "discord.channels.none: expected another name"),
    "channel with a bad name": ("discord.channels.a b", "1", "discord.channels.a b: expected a name of letters"),
    "api elsewhere": ("discord.api_url", "https://evil.example/api", "discord.api_url: expected https://discord.com/api/v10; only"),
    "gateway elsewhere": ("discord.gateway_url", "wss://10.0.0.1/", "discord.gateway_url: expected wss://gateway.discord.gg/; only"),
    "blank token": ("discord.token", " ", "discord.token: expected a value that is not empty"),
    "unknown database": ("database.url", f"mysql://u:{TOKEN}@h/d", "database.url: expected sqlite+aiosqlite:///FILE or"),
    "no address": ("alertmanagers.0.urls", ["alertmanager:9093"], "alertmanagers[0].urls[0]: expected an address such as"),
    "password in an address": ("alertmanagers.0.urls", [f"http://u:{TOKEN}@am"], "alertmanagers[0].urls[0]: expected an address without user"),
    "two ways in": ("alertmanagers.0", {"name": "a", "urls": ["http://a"], "token": TOKEN, "basic": {"username": "u", "password": TOKEN}}, "alertmanagers[0]: expected either token or basic, not both"),
    "unknown kind": ("alertmanagers.0.kind", "graphana", "alertmanagers[0].kind: expected alertmanager or grafana; did you mean grafana?"),
    "signature of an Alertmanager": ("alertmanagers.0.hmac_secret", TOKEN, "alertmanagers[0]: expected hmac_secret only with kind: grafana"),
    "signature without a secret": ("alertmanagers.0", {"name": "a", "kind": "grafana", "urls": ["http://a"], "hmac_timestamp_header": "X-Time"}, "alertmanagers[0]: expected hmac_secret beside the other keys"),
    "no header": ("alertmanagers.0", {"name": "a", "kind": "grafana", "urls": ["http://a"], "hmac_secret": TOKEN, "hmac_header": "X Signature"}, "alertmanagers[0].hmac_header: expected"),
    "one name twice": ("alertmanagers", [{"name": "a", "urls": ["http://a"]}] * 2, "alertmanagers[1].name: expected a name of its own"),
    "no route": ("alerts.routes", [], "alerts.routes: expected at least 1, found 0"),
    "no matcher": ("alerts.routes.0.match", ["severity"], "alerts.routes[0].match[0]: expected one of = != =~ !~ at position 9"),
    "bad regular expression": ("alerts.routes.0.match", ['a=~"("'], "alerts.routes[0].match[0]: expected a regular expression: missing )"),
    "empty matcher": ("alerts.routes.0.match", [""], "alerts.routes[0].match[0]: expected a matcher"),
    "unknown channel": ("alerts.routes.1.channel", "critcal", "alerts.routes[1].channel: expected a name of discord.channels, or none; did you mean critical?"),
    "unknown role": ("alerts.routes.1.mention", ["role:onkall"], "alerts.routes[1].mention[0]: expected a name of discord.roles; did you mean oncall?"),
    "schedule mentioned": ("alerts.routes.1.mention", ["schedule:primary"], "alerts.routes[1].mention[0]: expected a role or a user: this version has no schedules"),
    "user without id": ("alerts.routes.1.mention", ["user:bob"], "alerts.routes[1].mention[0]: expected user:<id>"),
    "unknown mention": ("alerts.routes.1.mention", ["team:x"], "alerts.routes[1].mention[0]: expected a name of discord.roles, role:<name> or user:<id>"),
    "last route does not catch all": ("alerts.routes.2.match", ["a=b"], "alerts.routes[2].match: expected a last route without match"),
    "last route shows nothing": ("alerts.routes.2.channel", "none", "alerts.routes[2].channel: expected a channel"),
    "route shadows the next": ("alerts.routes.0", {"channel": "alerts"}, "alerts.routes[0]: expected a match: without one no later route is ever reached"),
    "value of two severities": ("alerts.severities", {"critical": ["x"], "info": ["x"]}, "alerts.severities.info[0]: expected a value of one severity only: it is critical already"),
    "grant for nobody": ("access.grants.0.roles", [], "access.grants[0]: expected roles or users"),
    "grant for an unknown role": ("access.grants.0.roles", ["operator"], "access.grants[0].roles[0]: expected a name of discord.roles; did you mean operators?"),
    "grant of nothing": ("access.grants.0.may", [], "access.grants[0].may: expected at least 1, found 0"),
    "unknown action": ("access.grants.0.may", ["alerts:akc"], "access.grants[0].may[0]: expected an action such as alerts:ack or alerts:*; did you mean alerts:ack?"),
    "unknown group": ("access.grants.0.may", ["alert:*"], "access.grants[0].may[0]: expected an action such as alerts:ack or alerts:*; did you mean alerts:*?"),
    "unknown target": ("access.grants.0.on", ["chanel:x"], "access.grants[0].on[0]: expected * or a target such as channel:alerts; did you mean channel?"),
    "operations in an unknown channel": ("operations.channel", "alert", "operations.channel: expected a name of discord.channels; did you mean alerts?"),
    "news in an unknown channel": ("kubernetes.argocd", {"news": [{"channel": "critcal"}]}, "kubernetes.argocd.news[0].channel: expected a name of discord.channels, or none; did you mean critical?"),
    "no Application": ("kubernetes.argocd", {"itself": "the-machine"}, "kubernetes.argocd.itself: expected"),
    "no namespace": ("kubernetes.argocd", {"namespaces": ["Argo CD"]}, "kubernetes.argocd.namespaces[0]: expected"),
    "open to the network": ("web.tokens", [], "web.tokens: expected a token (or tokens_file)"),
    "twin that is not there": ("alertmanagers.0.token_file", "absent", "alertmanagers[0].token_file: expected a file that can be read: No such file or directory"),
    "both of a pair": ("discord.token_file", "x", "discord.token_file: expected either token or this, not both"),
    "twin that names nothing": ("alertmanagers.0.token_file", 5, "alertmanagers[0].token_file: expected the name of a file"),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_reported_alone_at_its_key_without_secrets(rule: str, tmp_path: Path) -> None:
    path, value, expected = RULES[rule]
    said = problems_of(tmp_path, changed(path, value))
    assert len(said) == 1, said
    where, _, text = said[0].partition(": ")
    assert text.startswith(expected)
    assert where.removeprefix("machine.yaml:").isdigit()
    assert TOKEN not in said[0]


def test_everything_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
discord:
  guild: "1"
  token: x
  channels: {alerts: "1"}
  rolls: {oncall: "2"}
web:
  tokens: [x]
  port: no
alerts:
  routes:
    - match: [severity]
      channel: alrts
    - channel: alerts
      mention: [oncal]
"""
    assert problems_of(tmp_path, text) == [
        "machine.yaml:5: discord.rolls: unknown key; did you mean roles?",
        "machine.yaml:8: web.port: expected a whole number",
        "machine.yaml:11: alerts.routes[0].match[0]: expected one of = != =~ !~ at position 9 of 'severity'",
        "machine.yaml:12: alerts.routes[0].channel: expected a name of discord.channels, or none; did you mean alerts?",
        "machine.yaml:14: alerts.routes[1].mention[0]: expected a name of discord.roles; did you mean oncall?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("discord:\n\ttoken: x\n", "machine.yaml:2: expected spaces, found a tab"),
        ("discord: {\n", "machine.yaml:2: expected valid YAML: "),
        ("a: [1]\n---\nb: 1\n", "machine.yaml:2: expected valid YAML: but found another document"),
        ("- a\n", "machine.yaml:1: expected keys with values"),
        ("a: *b\n", "machine.yaml:1: expected valid YAML: found undefined alias"),
        ("[" * 5000, "expected"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    (said,) = problems_of(tmp_path, text)
    assert expected in said


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "machine.yaml"
    file.write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(ConfigurationError, match="expected"):
        load_settings(file, {})


def test_a_key_given_twice_is_said_where_it_is_given_again(tmp_path: Path) -> None:
    text = EXAMPLE + "web: {}\n"
    assert f"machine.yaml:{text.count(chr(10))}: web: given twice, first on line 6" in problems_of(
        tmp_path, text
    )


def test_an_alias_that_holds_itself_is_said(tmp_path: Path) -> None:
    assert any("alias" in said for said in problems_of(tmp_path, "log: &a {level: *a}\n"))


def test_a_file_that_is_absent_is_said_with_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MACHINE_CONFIG") as caught:
        load_settings(tmp_path / "absent.yaml", {})
    assert caught.value.files == (tmp_path / "absent.yaml",)


def test_the_documented_example_loads_with_its_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "tokens").write_text("one\n\n two \n")
    text = EXAMPLE.replace("/run/secrets/discord-token", "token").replace(
        "/run/secrets/webhook-tokens", "tokens"
    )
    file = tmp_path / "machine.yaml"
    file.write_text(text)
    loaded = load_settings(file, {})
    assert loaded.warnings == ()
    assert loaded.files == (file, tmp_path / "token", tmp_path / "tokens")
    assert loaded.settings.discord.token.get_secret_value() == "abc"
    assert [token.get_secret_value() for token in loaded.settings.web.tokens] == ["one", "two"]
    assert loaded.settings.default_source == "main"
    assert loaded.settings.notices_channel == "audit"
    assert "abc" not in repr(loaded)


def test_a_twin_whose_content_is_wrong_is_said_at_the_twin(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"mysql://u:{TOKEN}@h\n")
    data = changed("database", {"url_file": "url"})
    (said,) = problems_of(tmp_path, data)
    assert "database.url_file: expected sqlite+aiosqlite" in said
    assert TOKEN not in said


def test_an_empty_twin_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    data = changed("discord.token", ...)
    data["discord"]["token_file"] = "empty"
    (said,) = problems_of(tmp_path, data)
    assert "discord.token_file: expected a file that is not empty" in said


def test_without_access_alertmanagers_or_tokens_on_loopback_there_are_warnings(tmp_path: Path) -> None:
    data = a_configuration()
    del data["access"], data["alertmanagers"]
    data["web"] = {"host": "127.0.0.1"}
    file = tmp_path / "machine.yaml"
    file.write_text(yaml.safe_dump(data))
    assert sorted(warning.key for warning in load_settings(file, {}).warnings) == [
        "access",
        "alertmanagers",
        "web.tokens",
    ]


def test_a_grafana_is_one_more_alertmanager_with_its_api_below_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    urls = ["https://grafana.example.org/", "http://10.0.0.7:3000/api/alertmanager/grafana"]
    lab = {
        "name": "lab",
        "kind": "grafana",
        "urls": urls,
        "hmac_secret_file": "secret",
        "hmac_header": "X-Sign",
    }
    data = a_configuration()
    data["alertmanagers"].append(lab)
    data["web"] = {"tokens": []}
    main, grafana = load(tmp_path, data).alertmanagers
    assert main.api_urls == main.urls
    assert grafana.api_urls == (
        "https://grafana.example.org/api/alertmanager/grafana",
        "http://10.0.0.7:3000/api/alertmanager/grafana",
    )
    assert grafana.hmac_secret is not None
    assert grafana.hmac_secret.get_secret_value() == "s3cret"


def test_words_that_old_yaml_takes_for_truths_stay_text(tmp_path: Path) -> None:
    text = EXAMPLE.replace("token_file: /run/secrets/discord-token", "token: no").replace(
        "tokens_file: /run/secrets/webhook-tokens", "tokens: [on]"
    )
    settings = load(tmp_path, text)
    assert settings.discord.token.get_secret_value() == "no"
    assert settings.access is not None
    assert settings.access.grants[0].on == ("*",)


def test_ids_may_be_whole_numbers_in_the_file(tmp_path: Path) -> None:
    assert (
        load(tmp_path, changed("discord.guild", 1136200000000000000)).discord.guild == "1136200000000000000"
    )


def test_a_simulator_on_loopback_may_stand_for_discord(tmp_path: Path) -> None:
    data = changed("discord.api_url", "http://127.0.0.1:9/api/v10/")
    data["discord"]["gateway_url"] = "ws://[::1]:9/"
    discord = load(tmp_path, data).discord
    assert (discord.api_url, discord.gateway_url) == ("http://127.0.0.1:9/api/v10", "ws://[::1]:9")


def test_an_empty_section_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(tmp_path, {**a_configuration(), "log": None}).log.level == "info"


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        a_configuration(),
        MACHINE_CONFIG="ignored",
        MACHINE_WEB__PORT="9090",
        MACHINE_WEB__TOKENS="[x, y]",
        MACHINE_DISCORD__TOKEN="123456",
        MACHINE_DISCORD__CHANNELS__EXTRA="77",
        MACHINE_ALERTMANAGERS__0__TOKEN="*{: #",
        MACHINE_ALERTS__ROUTES__0__CONTINUE="true",
        MACHINE_LOG="{level: debug}",
        MACHINE_ACCESS__GRANTS__0__APPROVALS="2",
        HOME="/nowhere",
    )
    assert settings.web.port == 9090
    assert [token.get_secret_value() for token in settings.web.tokens] == ["x", "y"]
    assert settings.discord.token.get_secret_value() == "123456"
    assert settings.discord.channels["extra"] == "77"
    token = settings.alertmanagers[0].token
    assert token is not None
    assert token.get_secret_value() == "*{: #"
    assert settings.alerts.routes[0].goes_on
    assert settings.log.level == "debug"
    assert settings.access is not None
    assert settings.access.grants[0].approvals == 2


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("MACHINE_WEBB__PORT", "1", "MACHINE_WEBB__PORT: webb: unknown section; did you mean MACHINE_WEB__PORT?"),
        ("MACHINE_WEB_PORT", "1", "MACHINE_WEB_PORT: web_port: unknown section; did you mean MACHINE_WEB__PORT?"),
        ("MACHINE_WEB__PROT", "1", "MACHINE_WEB__PROT: web.prot: unknown key; did you mean port?"),
        ("MACHINE_WEB__PORT", "http", "MACHINE_WEB__PORT: web.port: expected a whole number"),
        ("MACHINE_WEB__PORT", "[1", "MACHINE_WEB__PORT: expected a value in YAML"),
        ("MACHINE_WEB__", "1", "MACHINE_WEB__: expected a key between two pairs of underscores"),
        ("MACHINE_WEB__PORT__X", "1", "MACHINE_WEB__PORT__X: expected a key that holds others"),
        ("MACHINE_ALERTS__ROUTES__9__CHANNEL", "x", "MACHINE_ALERTS__ROUTES__9__CHANNEL: expected the place of one of the 3 entries, from 0"),
        ("MACHINE_DISCORD__TOKEN_FILE", "x", "MACHINE_DISCORD__TOKEN_FILE: discord.token_file: expected either token or this, not both"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_variable_is_said_by_its_name(
    variable: str, value: str, expected: str, tmp_path: Path
) -> None:
    assert problems_of(
        tmp_path, a_configuration() | {"web": {"port": 1, "tokens": ["x"]}}, **{variable: value}
    ) == [expected]


def test_variables_that_kubernetes_sets_for_a_service_called_machine_are_not_ours(tmp_path: Path) -> None:
    load(
        tmp_path,
        a_configuration(),
        MACHINE_SERVICE_HOST="10.0.0.1",
        MACHINE_SERVICE_PORT_HTTP="80",
        MACHINE_PORT="tcp://10.0.0.1:80",
        MACHINE_PORT_80_TCP_ADDR="10.0.0.1",
        MACHINE_TEST_FIXTURES="/somewhere",
    )


def test_settings_are_made_from_plain_data_under_the_same_rules() -> None:
    assert settings_from(a_configuration()).discord.roles["oncall"] == "1136200000000000008"
    with pytest.raises(ConfigurationError, match="did you mean critical"):
        settings_from(changed("alerts.routes.1.channel", "critcal"))


def test_the_default_file_is_named_by_a_variable() -> None:
    assert default_file({"MACHINE_CONFIG": "/etc/m.yaml"}) == Path("/etc/m.yaml")
    assert default_file({}) == Path("machine.yaml")
