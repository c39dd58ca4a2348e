"""How answers about Applications look: values in, components out. All names and messages are from outside."""
