"""Command line; the only package that prints."""
