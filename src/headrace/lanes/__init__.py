"""The lanes: fast dispatch paths between the ledger and the workers."""
