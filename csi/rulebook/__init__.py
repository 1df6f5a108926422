"""What do people do with the rulebook: explain, draft, compare, print it?"""
