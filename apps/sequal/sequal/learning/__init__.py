"""How the networks learn: methods, networks, losses, refinement and the round."""
