"""Discovery by the networks of the paper and Adam."""
