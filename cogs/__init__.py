"""Discord's surface: slash commands and buttons, thin; every decision is left to the services."""
