"""What learns: libraries of candidate functions, networks, and models that join them with the solver."""
