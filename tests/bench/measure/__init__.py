"""What tests/bench/run and tests/bench/peers measure, a module for each kind of setting; table.py shows it."""
