"""Controls made from a Config, file uploads and tables of rows."""
