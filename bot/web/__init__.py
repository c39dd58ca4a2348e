"""The HTTP server: authentication, limits, health. What a delivery means is left to the rooms."""
