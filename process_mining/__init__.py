"""What happened: ticket event logs, their variants, models and alignments. No policy lives here."""
