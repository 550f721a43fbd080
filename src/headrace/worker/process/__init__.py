"""Handlers in processes of their own: a crash, a leak or a deaf loop there costs one job."""
