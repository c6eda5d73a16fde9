"""Cards: parts of a Report drawn on the Train page."""
