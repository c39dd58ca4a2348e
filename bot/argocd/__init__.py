"""Argo CD: its Applications as they are, what people do with them, and the news about them."""
