"""The demo's Minecraft servers: they speak the real protocols, people come and go, a cluster runs them."""
