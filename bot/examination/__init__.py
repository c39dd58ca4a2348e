"""What `machine doctor` and `/machine doctor` look at: the configuration against everything that it names."""
