"""`python -m tests.simulators.discord`: run the simulator by itself; prints its addresses as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from tests.simulators.discord.inspection import Inspection
from tests.simulators.discord.server import DEFAULT_TOKEN, DiscordServer


async def run(arguments: argparse.Namespace) -> None:
    server = DiscordServer(
        token=arguments.token,
        port=arguments.port,
        validate=arguments.validate,
        keep_requests=arguments.keep_requests,
    )
    server.latency = arguments.latency
    Inspection(server).install()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with server:
        channels = {name: str(server.add_channel(name).id) for name in arguments.channels}
        roles = {name: str(server.add_role(name, mentionable=True).id) for name in arguments.roles}
        administrator = server.add_member("root", administrator=True)
        addresses = {
            "api_url": server.api_url,
            "gateway_url": server.gateway_url,
            "sim_url": f"{server.url}/_sim",
            "token": server.token,
            "guild": str(server.guild.id),
            "channels": channels,
            "roles": roles,
            "administrator": str(administrator.id),
        }
        print(json.dumps(addresses), flush=True)
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.discord", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    parser.add_argument("--channels", nargs="*", default=["alerts", "critical", "audit"])
    parser.add_argument("--roles", nargs="*", default=["operators", "oncall"])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each REST request takes")
    parser.add_argument("--validate", action="store_true", help="check bodies against MACHINE_TEST_OPENAPI")
    parser.add_argument("--keep-requests", type=int, default=100_000)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
