"""How close an estimate comes to a reference; reference first, estimate second."""
