"""A cache beside the jobs: what is lost there is computed again."""
