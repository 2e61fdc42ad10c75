"""The parts of bench/tables.py: where tables come from, who competes, how one cell is measured, and what is written."""
