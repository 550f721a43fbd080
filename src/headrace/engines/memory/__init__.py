"""Jobs in the memory of one process, for tests: the rules of the ledger without a database."""
