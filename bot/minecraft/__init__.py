"""Minecraft servers: who is on, whether they are well, their past, whom they let in, start and stop."""
