"""What every room may use: the token tree, errors that a user can mend, files written whole or not at all, the hub."""
