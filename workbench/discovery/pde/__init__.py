"""Discovery of u_t = Theta(u, u_x, ...) Xi from a field on a periodic interval."""
