"""What an incident is and how deliveries change it: values and pure decisions."""
