"""rows - the tables of bench/run, a module each. Open measure.py first."""
