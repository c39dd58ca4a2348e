"""The schema and the page of the values: written from the models, and they refuse what is wrong."""

import pytest

from bot.settings.schema import inner_section, sections_below
from bot.settings.shape import keys_of
from bot.settings.tree import Settings
from tests.chart.generate import read_values, values_schema, written
from tests.chart.values import MINIMAL, merged
from tests.support.helm import CHART, HelmError, render

REFUSED = {
    "an id that Helm would round": ({"config": {"discord": {"guild": 1136200000000000000}}}, "guild"),
    "an id of a channel without quotation marks": (
        {"config": {"discord": {"channels": {"a": 1}}}},
        "channels/a",
    ),
    "a token in the clear": ({"config": {"discord": {"token": "x"}}}, "token"),
    "webhook tokens in the clear": ({"config": {"web": {"tokens": ["x"]}}}, "tokens"),
    "a password in the address of the database": (
        {"config": {"database": {"url": "postgresql+asyncpg://u:p@h/d"}}},
        "url",
    ),
    "a key that the bot does not know": ({"config": {"alerts": {"chanel": []}}}, "chanel"),
    "a key that the chart does not know": ({"replicaCount": 2}, "replicaCount"),
    "a key of a section that the chart does not know": ({"service": {"name": "x"}}, "name"),
    "a wrong type": ({"replicas": "many"}, "replicas"),
    "a policy that does not exist": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "digest"),
    "a duration that is none": ({"config": {"alerts": {"poll": "soon"}}}, "poll"),
    "a namespace that is none": ({"config": {"kubernetes": {"argocd": {"namespaces": ["A"]}}}}, "namespaces"),
    "no routes": ({"config": {"alerts": {"routes": []}}}, "routes"),
}


@pytest.mark.parametrize(("values", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_helm_refuses(values, named):
    with pytest.raises(HelmError, match="specifications of the schema") as refused:
        render(merged(MINIMAL, values))
    assert named in str(refused.value)


def test_helm_says_what_is_missing():
    with pytest.raises(HelmError, match="missing properties 'discord', 'alerts'"):
        render({})


@pytest.mark.parametrize("path", written(), ids=lambda path: path.name)
def test_what_is_written_is_not_stale(path):
    assert path.read_text() == written()[path], "run `make schema`"


def test_every_value_is_described():
    def undescribed(values):
        for value in values:
            if not value.below and not value.description:
                yield ".".join(value.path)
            yield from undescribed(value.below)

    assert list(undescribed(read_values())) == []


def test_no_secret_of_the_models_can_stand_in_a_config_map():
    definitions = values_schema()["definitions"]
    for section in sections_below(Settings):
        properties = definitions["Settings" if section is Settings else section.__name__]["properties"]
        for key in keys_of(section).values():
            if key.twin is not None and section.__name__ != "DatabaseSettings":
                assert key.name not in properties
                assert key.twin_name in properties


def test_every_other_key_of_the_models_can_be_said():
    definitions = values_schema()["definitions"]
    for section in sections_below(Settings):
        properties = definitions["Settings" if section is Settings else section.__name__]["properties"]
        expected = {key.twin_name if key.twin else key.name for key in keys_of(section).values()}
        assert expected <= properties.keys()
        assert all(inner_section(key) is None or key.name in properties for key in keys_of(section).values())


def test_every_key_that_helm_reads_otherwise_than_yaml_is_known():
    read_as_boolean = {"on", "off", "yes", "no", "true", "false", "y", "n"}
    names = {name for section in sections_below(Settings) for name in keys_of(section)}
    assert names & read_as_boolean <= {"on"}, "teach chart/templates/_config.tpl the new one"


def test_the_chart_has_no_file_that_helm_would_not_package():
    assert {path.name for path in CHART.iterdir()} == {
        ".helmignore", "Chart.yaml", "README.md", "ci", "dashboards", "rules", "templates", "values.schema.json",
        "values.yaml",
    }  # fmt: skip
