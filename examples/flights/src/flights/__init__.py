"""Departure delays of the flights that left New York in 2013: from raw tables to models and a picture."""
