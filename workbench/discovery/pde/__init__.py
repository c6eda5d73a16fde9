"""Discovery of partial differential equations, u_t = Theta(u, u_x, ...) Xi, on a periodic interval."""
