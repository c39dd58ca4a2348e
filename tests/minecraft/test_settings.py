import pytest
from pydantic import ValidationError

from bot.minecraft.settings import MinecraftSettings, ServerSettings, compile_servers


def test_a_server_that_is_configured_is_where_its_workload_is():
    workload = {"namespace": "games", "name": "survival"}
    settings = MinecraftSettings(
        servers=(
            ServerSettings(name="survival", address="mc.example.org", workload=workload),
            ServerSettings(name="elsewhere", address="mc.example.org"),
        )
    )
    survival, elsewhere = compile_servers(settings)
    assert survival.targets == ("server:survival", "namespace:games")
    assert elsewhere.targets == ("server:elsewhere",)


@pytest.mark.parametrize("every", ["500ms", "6m", "1h"])
def test_servers_are_not_asked_so_seldom_that_their_past_has_holes(every):
    with pytest.raises(ValidationError, match="expected a duration from 1s to 5m"):
        MinecraftSettings.model_validate({"every": every})
