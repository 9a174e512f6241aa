"""The GPU dossier: every claim that needs a GPU, measured in one command under a clock. See README.md beside this."""
