"""What should happen: practices, rules, service levels, and the engine that judges by them."""
