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
