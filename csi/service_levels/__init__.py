"""Are the service levels kept, can the clocks be trusted, and what does the tool itself say?"""
