"""Controls generated from a Config, file uploads, tables."""
