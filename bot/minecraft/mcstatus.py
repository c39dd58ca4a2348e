"""What mcstatus does for us: SRV records, Bedrock servers, and Java servers from before 1.7.

Loaded only when one of these is asked for (`bot.minecraft.ping`).
"""

from datetime import timedelta

from dns.exception import DNSException
from mcstatus import BedrockServer, JavaServer, LegacyServer

from bot.minecraft.answers import read_other
from bot.minecraft.model import Address, Answer


class Mcstatus:
    """Asks once; whatever an answer is made of may be raised."""

    async def follow(self, address: Address) -> Address:
        """Return where the SRV record of a name leads, or the address itself."""
        try:
            found = await JavaServer.async_lookup(address.host)
        except DNSException:
            # A resolver that cannot say so may still know the host.
            return address
        return Address(found.address.host, found.address.port)

    async def ask_legacy(self, address: Address) -> Answer:
        """Return what a Java server from before 1.7 says."""
        status = await LegacyServer(address.host, address.port).async_status(tries=1)
        return read_other(
            online=status.players.online,
            most=status.players.max,
            version=status.version.name,
            # What came before 1.4 does not say its protocol.
            protocol=status.version.protocol,
            motd=status.motd.raw,
            latency=timedelta(milliseconds=status.latency),
        )

    async def ask_bedrock(self, address: Address) -> Answer:
        """Return what a Bedrock server says."""
        status = await BedrockServer(address.host, address.port).async_status(tries=1)
        return read_other(
            online=status.players.online,
            most=status.players.max,
            version=status.version.name,
            protocol=status.version.protocol,
            motd=status.motd.raw,
            latency=timedelta(milliseconds=status.latency),
            brand=" · ".join(filter(None, (status.map_name, status.gamemode))),
            bedrock=True,
        )
