"""Demand as a number: readings of triggers, the number they call for, and what is done about it."""
