"""The bus within a process: who hears what, and a bus in memory."""
