"""Discovery of ordinary and partial differential equations, u' = Theta(u) Xi, from data."""
