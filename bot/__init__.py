"""The Machine: a Discord ChatOps bot that watches over a platform run by GitOps."""
