"""A river on one machine: processes, ports, keys and configurations of daemons that run side by side on loopback.

The demo (deploy/demo) and the system tests (tests/system) are built on it. Nothing here sleeps blindly: whoever waits, waits for a line
or a condition, with a deadline, and says what was not seen.
"""
