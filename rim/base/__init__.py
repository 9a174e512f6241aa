"""What every room may use: errors that a user can mend, files written whole or not at all, and the hub."""
