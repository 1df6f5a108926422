"""What could be done about it, and what is worth doing first? Candidates, teams, a ranked table."""
